//! What a person may say about himself while registering: checked here, kept by whoever hears of it.

use std::borrow::Cow;

/// The rule that a text breaks: its stable word and its sentence.
type Broken = (&'static str, Cow<'static, str>);

/// The name a person wants to be shown as: 1 to 200 characters in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DisplayName(pub(crate) String);

impl DisplayName {
    /// Reads one; space around it does not belong to it.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, Broken> {
        let text = text.trim();
        if text.is_empty() {
            return Err(("empty", "A display name needs at least one character.".into()));
        }
        if text.chars().count() > 200 {
            return Err(("too_long", "A display name has at most 200 characters.".into()));
        }
        if text.chars().any(char::is_control) {
            return Err(("control_character", "A display name is one line of text.".into()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A language tag (BCP 47) by its shape: a language of 2 to 8 letters and at most a few parts behind it. Whether
/// anybody speaks it is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locale(pub(crate) String);

impl Locale {
    /// Reads one.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, Broken> {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        let good_language =
            (2..=8).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
        let good_rest = parts
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        if text.len() > 35 || !good_language || !good_rest {
            return Err(("malformed_locale", "A locale is a language tag such as en or de-AT.".into()));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line() {
        assert_eq!(DisplayName::parse("  Mia Müller ").unwrap().0, "Mia Müller");
        for (text, code) in [("", "empty"), (" ", "empty"), ("a\nb", "control_character")] {
            assert_eq!(DisplayName::parse(text).unwrap_err().0, code, "{text:?}");
        }
        assert_eq!(DisplayName::parse(&"a".repeat(201)).unwrap_err().0, "too_long");
    }

    #[test]
    fn locales_have_the_shape_of_language_tags() {
        for good in ["en", "de-AT", "zh-Hant-TW", "gsw"] {
            assert!(Locale::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "-de", "de-", "de--at", "de_AT", "../../etc", "d3", "de-verylongpart", "\u{f6}s"]
        {
            assert!(Locale::parse(bad).is_err(), "{bad}");
        }
    }
}
