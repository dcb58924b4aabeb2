//! The files that templates are written in, embedded.

/// A name and what is in it.
type File = (&'static str, &'static str);

macro_rules! file {
    ($path:expr) => {
        ($path, include_str!(concat!("../templates/", $path)))
    };
}

/// The files of one template in every language.
macro_rules! template {
    ($name:literal) => {
        [
            file!(concat!($name, "/en/subject.txt")),
            file!(concat!($name, "/en/body.txt")),
            file!(concat!($name, "/en/body.html")),
            file!(concat!($name, "/de/subject.txt")),
            file!(concat!($name, "/de/body.txt")),
            file!(concat!($name, "/de/body.html")),
        ]
    };
}

/// What is around every mail.
pub(super) const LAYOUT: [File; 8] = [
    file!("layout/layout.html"),
    file!("layout/layout.txt"),
    file!("layout/en/words.jinja"),
    file!("layout/en/footer.txt"),
    file!("layout/en/footer.html"),
    file!("layout/de/words.jinja"),
    file!("layout/de/footer.txt"),
    file!("layout/de/footer.html"),
];

/// Every template as a mail.
pub(super) const TEMPLATES: [[File; 6]; 9] = [
    template!("email_verification"),
    template!("registration_repeated"),
    template!("session_ended"),
    template!("password_reset"),
    template!("password_changed"),
    template!("invitation"),
    template!("sign_in_noticed"),
    template!("email_changed"),
    template!("announcement"),
];

/// The short forms, for short messages and inboxes.
pub(super) const NOTICES: [File; 6] = [
    file!("session_ended/en/notice.txt"),
    file!("session_ended/de/notice.txt"),
    file!("password_changed/en/notice.txt"),
    file!("password_changed/de/notice.txt"),
    file!("announcement/en/notice.txt"),
    file!("announcement/de/notice.txt"),
];
