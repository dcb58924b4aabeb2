//! Single values of a profile: each parser returns the value in its one normal form, or the rule that it breaks. Names and
//! languages, which auth reads too, are in [`contracts::words`].

use std::sync::LazyLock;

use contracts::words::BrokenWord;
use jiff::tz::TimeZoneDatabase;
use url::Url;

/// A telephone number as in E.164: a plus, and 7 to 15 digits of which the first is not zero.
pub(super) fn phone(text: &str) -> Result<String, BrokenWord> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let good = (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if good {
        Ok(text.to_owned())
    } else {
        Err(("malformed_phone", "A phone number is written like +436601234567.".into()))
    }
}

/// The IANA database as of this build: the machine's own may be missing, and knows names that are no zones.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone that the IANA database knows, as it is written there.
pub(super) fn time_zone(text: &str) -> Result<String, BrokenWord> {
    let known = ZONES.get(text).ok().filter(|zone| !zone.is_unknown());
    let name = known.as_ref().and_then(|zone| zone.iana_name());
    name.map(ToOwned::to_owned)
        .ok_or_else(|| ("unknown_time_zone", "A time zone is a name such as Europe/Vienna.".into()))
}

/// A picture's address: https, at most 2048 characters. It is kept and shown, never fetched.
pub(super) fn avatar_url(text: &str) -> Result<String, BrokenWord> {
    let too_long = || Err(("too_long", "An address has at most 2048 characters.".into()));
    if text.len() > 2048 {
        return too_long();
    }
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host());
    let plain = url.filter(|url| url.username().is_empty() && url.password().is_none());
    match plain {
        // Letters outside of ASCII take up to three times their bytes in a URL.
        Some(url) if url.as_str().len() > 2048 => too_long(),
        Some(url) if !text.chars().any(char::is_control) => Ok(url.into()),
        _ => Err(("malformed_url", "A picture's address begins with https:// and names a host.".into())),
    }
}

#[cfg(test)]
#[path = "texts_tests.rs"]
mod texts_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(parse: impl Fn(&str) -> Result<T, BrokenWord>, texts: &[&str]) {
        for text in texts {
            assert!(parse(text).is_err(), "{text:?} was accepted as {:?}", parse(text));
        }
    }

    #[test]
    fn phones_are_international() {
        assert_eq!(phone("+436601234567").unwrap(), "+436601234567");
        refused(phone, &["", "+", "0660", "+0660123456", "+43 660 123", "+4366012345678901", "+٤٣٦٦٠١٢٣"]);
    }

    #[test]
    fn time_zones_are_known() {
        assert_eq!(time_zone("europe/vienna").unwrap(), "Europe/Vienna");
        assert_eq!(time_zone("UTC").unwrap(), "UTC");
        refused(
            time_zone,
            &[
                "",
                "Mars/Olympus",
                "+01:00",
                "../../etc/passwd",
                "Europe/Vienna\0",
                "posixrules",
                "Etc/Unknown",
                "localtime",
            ],
        );
    }

    #[test]
    fn pictures_are_elsewhere_and_safe_to_link() {
        assert_eq!(avatar_url("https://Pics.example/a b.png").unwrap(), "https://pics.example/a%20b.png");
        refused(
            avatar_url,
            &[
                "",
                "http://x.org/a",
                "javascript:alert(1)",
                "data:image/png,x",
                "https://",
                "//x.org",
                "https://u:p@x.org/",
            ],
        );
    }
}
