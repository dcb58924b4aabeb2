//! Fixtures that other programs made (Python's hashlib and crypt, argon2-cffi, cryptography), not this one.

use super::*;

const PASSWORD: &str = "correct horse battery staple";

/// One of each kind and form.
const FIXTURES: [(&str, &str); 20] = [
    ("bcrypt", "$2a$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("bcrypt", "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("bcrypt", "$2y$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("sha_crypt", "$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0"),
    (
        "sha_crypt",
        "$6$rounds=1500$saltstring16char$kJdDVi5WuFJb1MZ6.4TtKxxk/DWN6RjGUwPDfWRBcwQu8rWTwayL0DFdt/tj4s6sjgq8JxUaTgW4fcMZgwR9A/",
    ),
    ("scrypt", "$scrypt$ln=12,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k"),
    ("pbkdf2", "pbkdf2_sha256$20000$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c="),
    ("pbkdf2", "pbkdf2_sha1$20000$seasalt$eLThNAzklgQzP3mvpPU6oISIO+k="),
    ("pbkdf2", "AQAAAAAAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHRu+U5RA1S/6ivt0vpomQcZXR21hA=="),
    ("pbkdf2", "AQAAAAEAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHRgyxa/Saf1Os32u1rFC7h4tYsBLoM449WEeinjWFNIJQ=="),
    ("pbkdf2", "AQAAAAIAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHTwJ7t5T0kn845HINQfHB+s3N7vEEzBzHfGlCtyksmMlA=="),
    (
        "pbkdf2",
        "$pbkdf2-sha256$i=27500$c2l4dGVlbiBieXRlIHNsdA==$Qx3qbw278zSt9WeG86lWZvHDoTyEGK0+JPKz57+E4H/Ng6YoGOwtYI+YoBjP/HcmVuBoCFrzDegARigUEGzp1g==",
    ),
    (
        "pbkdf2",
        "$pbkdf2-sha512$i=21000,l=64$c2l4dGVlbiBieXRlIHNsdA==$XxDKxut6PSaji9Ydoa3Z8mHoT7uEp5ju7WPulVausRn6HR+9mZ4UEbisguZDGhcu/6EGcbbaU60qA8KVDXoKhg==",
    ),
    ("pbkdf2", "$pbkdf2-sha256$29000$c2l4dGVlbiBieXRlIHNsdA$JNhzAr3HOLBXZLhXvaaAnaKkqcBrpydrWM3wWFqRBH8"),
    ("ssha", "{SSHA}KimvTMsDXtlKSwtp8gD62FpPDC0BAnNhbHRlZDg="),
    ("ssha", "{SSHA256}ZIJA+5MRVNu1uH9c8FWTxcyvCPWHT1aNs23ZSEPCU7UBAnNhbHRlZDg="),
    (
        "ssha",
        "{SSHA512}gShmLDaE++dk5QrJ6jibI5gyrQsAhc5UM8C3GUKRgguF0hWwgALPKcw8l22lCrrP2zXoYHxzy1WLUjv34DwijQECc2FsdGVkOA==",
    ),
    (
        "scrypt",
        "$fbscrypt$v=1,n=12,r=8,p=1,ss=Bw==,sk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$ZmlyZXNhbHQ=$5z+/nYFf2wIj1Dr/VZf4XYdforrBwb3yY5tQqKLuTEjMg8utMHUO9ZpD/GhXrUOMRxpU29BOYwQK7ncddI/sbA==",
    ),
    (
        "argon2",
        "$argon2id$v=19$m=64,t=3,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
    ),
    (
        "argon2",
        "$argon2i$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlIHNsdA$FDraGcMMx4zj+hdIkd2fxhCSCR/nBj90lSsiotIArwk",
    ),
];

fn fits(text: &str, password: &str) -> bool {
    ForeignHash::parse(text).unwrap_or_else(|| panic!("{text}")).fits(&Password::typed(password.to_owned()))
}

#[test]
fn each_kind_fits_its_password_and_no_other() {
    for (name, text) in FIXTURES {
        assert!(fits(text, PASSWORD), "{text}");
        for other in [
            "",
            "correct horse battery stapl",
            "correct horse battery staplex",
            "Correct horse battery staple",
        ] {
            assert!(!fits(text, other), "{text} {other:?}");
        }
        assert_eq!(ForeignHash::parse(text).unwrap().name(), name);
    }
}

#[test]
fn firebase_s_own_example_fits() {
    let text = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
    assert!(fits(text, "user1password") && !fits(text, "user2password"));
}

#[test]
fn of_passwords_that_bcrypt_can_not_tell_apart_only_one_fits() {
    let text = "$2b$06$abcdefghijklmnopqrstuuIBuNj.FHUDJuljpq724SoPkEleOzHW2";
    let seen = "a".repeat(72);
    assert!(fits(text, &seen));
    for longer in ["a", "b", "\0", "anything at all"] {
        assert!(!fits(text, &format!("{seen}{longer}")));
    }
    let text = "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K";
    assert!(fits(text, PASSWORD));
    assert!(!fits(text, &format!("{PASSWORD}\0{PASSWORD}")));
    assert!(!fits(text, &format!("{PASSWORD}\0")));
}

#[test]
fn what_is_unknown_damaged_or_without_salt_is_none() {
    for text in [
        "",
        "$",
        "$$",
        "{",
        "{}",
        "x",
        "password",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2x$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
        "$argon2d$v=19$m=64,t=3,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
        "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "pbkdf2_md5$1$salt$eLThNAzklgQzP3mvpPU6oISIO+k=",
        "$pbkdf2-sha256$i=$c2FsdA$",
    ] {
        assert!(ForeignHash::parse(text).is_none(), "{text}");
    }
    for (_, text) in FIXTURES {
        for cut in 0..text.len() {
            let _ = ForeignHash::parse(text.get(..cut).unwrap());
            let _ = ForeignHash::parse(&format!("{}é{}", text.get(..cut).unwrap(), text.get(cut..).unwrap()));
        }
        assert!(ForeignHash::parse(&format!("{text}{}", "A".repeat(1_024))).is_none());
    }
}

#[test]
fn hashes_that_would_cost_minutes_or_gigabytes_are_refused() {
    for text in [
        "$argon2id$v=19$m=1048576,t=1,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
        "$argon2id$v=19$m=262144,t=9,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
        "$argon2id$v=19$m=64,t=4294967295,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
        "$2b$16$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
        "$2b$31$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
        "$2b$03$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
        "$scrypt$ln=19,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
        "$scrypt$ln=12,r=8,p=4096$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
        "$scrypt$ln=63,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
        "$scrypt$ln=0,r=1,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
        "pbkdf2_sha256$5000001$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c=",
        "pbkdf2_sha256$0$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c=",
        "pbkdf2_sha256$-1$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c=",
        "$5$rounds=5000001$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0",
        "$5$rounds=10$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0",
    ] {
        assert!(ForeignHash::parse(text).is_none(), "{text}");
    }
}

#[test]
fn the_dearest_of_each_kind_is_still_taken() {
    // Only read here; what checking them takes is in the README.
    for text in [
        "$argon2id$v=19$m=262144,t=8,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
        "$2b$15$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
        "$scrypt$ln=18,r=8,p=4$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
    ] {
        assert!(ForeignHash::parse(text).is_some(), "{text}");
    }
}

#[test]
fn debug_hides_it() {
    for (name, text) in FIXTURES {
        assert_eq!(format!("{:?}", ForeignHash::parse(text).unwrap()), format!("ForeignHash({name} ***)"));
    }
}
