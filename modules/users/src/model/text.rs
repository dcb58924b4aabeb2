//! Single values of a profile: each parser returns the value in its one normal form, or the rule that it breaks.

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::tz::TimeZoneDatabase;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// A broken rule: its stable word and its sentence.
pub(super) type Broken = (&'static str, Cow<'static, str>);

/// A name: 1 to 200 characters in one line, without signs that turn the direction of what stands around it.
pub(super) fn name(text: &str) -> Result<String, Broken> {
    let name: String = text.trim().nfc().collect();
    if name.is_empty() {
        return Err(("empty", "A name needs at least one character; null takes it away.".into()));
    }
    if name.chars().count() > 200 {
        return Err(("too_long", "A name has at most 200 characters.".into()));
    }
    if name.chars().any(|c| c.is_control() || is_direction(c)) {
        return Err(("control_character", "A name is one line of text without control characters.".into()));
    }
    Ok(name)
}

/// Line and paragraph separators, and the overrides and isolates of the bidirectional algorithm (UAX #9).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A telephone number as in E.164: a plus, and 7 to 15 digits of which the first is not zero.
pub(super) fn phone(text: &str) -> Result<String, Broken> {
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

/// A language tag (BCP 47) by its shape, with the usual letter cases (RFC 5646 section 2.1.1).
pub(super) fn locale(text: &str) -> Result<String, Broken> {
    let malformed = || Err(("malformed_locale", "A locale is a language tag such as en or de-AT.".into()));
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let fits =
        |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let language = parts.first().copied().unwrap_or_default();
    let announces_nothing = parts.last().is_none_or(|last| last.len() == 1);
    if text.len() > 35
        || language.len() < 2
        || !letters(language)
        || !parts.iter().all(fits)
        || announces_nothing
    {
        return malformed();
    }
    let extensions = parts.iter().position(|part| part.len() == 1).unwrap_or(parts.len());
    let usual = parts.iter().enumerate().map(|(place, part)| match part.len() {
        _ if place == 0 || place > extensions => part.to_ascii_lowercase(),
        2 if letters(part) => part.to_ascii_uppercase(),
        4 if letters(part) => capitalised(part),
        _ => part.to_ascii_lowercase(),
    });
    Ok(usual.collect::<Vec<_>>().join("-"))
}

fn capitalised(part: &str) -> String {
    let mut letters = part.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

/// The IANA database as of this build: the machine's own may be missing, and knows names that are no zones.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone that the IANA database knows, as it is written there.
pub(super) fn time_zone(text: &str) -> Result<String, Broken> {
    let known = ZONES.get(text).ok().filter(|zone| !zone.is_unknown());
    let name = known.as_ref().and_then(|zone| zone.iana_name());
    name.map(ToOwned::to_owned)
        .ok_or_else(|| ("unknown_time_zone", "A time zone is a name such as Europe/Vienna.".into()))
}

/// A picture's address: https, at most 2048 characters. It is kept and shown, never fetched.
pub(super) fn avatar_url(text: &str) -> Result<String, Broken> {
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

    fn refused<T: std::fmt::Debug>(parse: impl Fn(&str) -> Result<T, Broken>, texts: &[&str]) {
        for text in texts {
            assert!(parse(text).is_err(), "{text:?} was accepted as {:?}", parse(text));
        }
    }

    #[test]
    fn names_are_one_line_in_one_direction() {
        assert_eq!(name(" Zoe\u{308} ").unwrap(), "Zoë");
        refused(name, &["", "  ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", &"x".repeat(201)]);
    }

    #[test]
    fn phones_are_international() {
        assert_eq!(phone("+436601234567").unwrap(), "+436601234567");
        refused(phone, &["", "+", "0660", "+0660123456", "+43 660 123", "+4366012345678901", "+٤٣٦٦٠١٢٣"]);
    }

    #[test]
    fn locales_get_their_usual_letters() {
        for (text, usual) in [
            ("EN", "en"),
            ("de-at", "de-AT"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("DE-at-U-CO-PHONEBK", "de-AT-u-co-phonebk"),
            ("en-us-X-Aa-Bbbb", "en-US-x-aa-bbbb"),
        ] {
            assert_eq!(locale(text).unwrap(), usual);
        }
        refused(
            locale,
            &[
                "",
                "e",
                "-de",
                "de-",
                "de_AT",
                "../../etc",
                "d3",
                "de-verylongpart",
                "ös",
                "not a language",
                "de-x",
            ],
        );
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
