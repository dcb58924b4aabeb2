//! What people say about themselves that more than one module reads: a name, and a language. Each reader returns the text in
//! its one normal form, or the rule that it breaks, so that what one module accepts another one keeps.
//!
//! Left out: whether anybody is called so, and whether anybody speaks it.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// A broken rule: its stable word and its sentence.
pub type BrokenWord = (&'static str, Cow<'static, str>);

/// A name: 1 to 200 characters in one line, without signs that turn the direction of what
/// stands around it. Space around it does not belong to it; the normal form is NFC.
///
/// # Errors
/// `empty`, `too_long` or `control_character`.
pub fn name(text: &str) -> Result<String, BrokenWord> {
    let name: String = text.trim().nfc().collect();
    if name.is_empty() {
        return Err(("empty", "A name needs at least one character.".into()));
    }
    if name.chars().count() > 200 {
        return Err(("too_long", "A name has at most 200 characters.".into()));
    }
    if name.chars().any(|c| c.is_control() || is_direction(c)) {
        let rule = "A name is one line of text without control characters.";
        return Err(("control_character", rule.into()));
    }
    Ok(name)
}

/// Line and paragraph separators, and the overrides and isolates of the bidirectional algorithm (UAX #9).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A language tag (BCP 47) by its shape and of at most 35 characters, with the usual letter cases (RFC 5646 section 2.1.1).
///
/// # Errors
/// `malformed_locale`.
pub fn locale(text: &str) -> Result<String, BrokenWord> {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let fits =
        |part: &&str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let language = parts.first().copied().unwrap_or_default();
    let announces_nothing = parts.last().is_none_or(|last| last.len() == 1);
    let well_formed = text.len() <= 35
        && language.len() >= 2
        && letters(language)
        && parts.iter().all(fits)
        && !announces_nothing;
    if !well_formed {
        return Err(("malformed_locale", "A locale is a language tag such as en or de-AT.".into()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_one_line_in_one_direction() {
        assert_eq!(name("  Mia Müller ").unwrap(), "Mia Müller");
        assert_eq!(name(" Zoe\u{308} ").unwrap(), "Zoë");
        for (text, code) in [
            ("", "empty"),
            (" ", "empty"),
            ("a\nb", "control_character"),
            ("a\u{0}b", "control_character"),
            ("a\u{202e}b", "control_character"),
            ("a\u{2028}b", "control_character"),
            ("a\u{2069}b", "control_character"),
        ] {
            assert_eq!(name(text).unwrap_err().0, code, "{text:?}");
        }
        assert!(name(&"ä".repeat(200)).is_ok());
        assert_eq!(name(&"a".repeat(201)).unwrap_err().0, "too_long");
    }

    #[test]
    fn locales_get_their_usual_letters() {
        for (text, usual) in [
            ("EN", "en"),
            ("gsw", "gsw"),
            ("de-at", "de-AT"),
            ("ZH-hANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("DE-at-U-CO-PHONEBK", "de-AT-u-co-phonebk"),
            ("en-us-X-Aa-Bbbb", "en-US-x-aa-bbbb"),
        ] {
            assert_eq!(locale(text).unwrap(), usual);
        }
    }

    #[test]
    fn locales_have_the_shape_of_language_tags() {
        for bad in [
            "",
            "e",
            "-de",
            "de-",
            "de--at",
            "de_AT",
            "../../etc",
            "d3",
            "de-verylongpart",
            "\u{f6}s",
            "de-x",
            "en-a",
            "not a language",
        ] {
            assert_eq!(locale(bad).unwrap_err().0, "malformed_locale", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_is_the_normal_form_of_itself(
            called in "\\PC{0,30}", tag in "[a-zA-Z]{1,9}(-[a-zA-Z0-9]{1,9}){0,4}", other in any::<String>(),
        ) {
            for text in [called, tag, other] {
                for read in [name, locale] {
                    if let Ok(once) = read(&text) {
                        prop_assert_eq!(read(&once), Ok(once));
                    }
                }
            }
        }
    }
}
