//! Categories of messages, and what people decide about them: `{category: {channel: bool}}`.
//!
//! `security` is always there and can't be switched off; which others there are is a setting. What nobody decided is on.

use std::collections::BTreeMap;

use contracts::{Fields, Result};

use super::Medium;

/// The category of what people must learn to be safe.
pub(crate) const SECURITY: &str = "security";

/// What somebody decided: by category and channel, only what was said.
pub(crate) type Choices = BTreeMap<String, BTreeMap<String, bool>>;

/// Whether this may be the name of a category: `product_news`.
pub(crate) fn is_word(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Checks the category of a message.
pub(crate) fn check(given: &str, known: &[String], fields: &mut Fields) -> String {
    if !is_word(given) {
        let rule = "Must be 1 to 64 lower-case letters, digits and underscores, a letter first.";
        fields.broken("/category", "malformed", rule);
    } else if !is_known(given, known) {
        let rule = "There is no such category; the setting notifications.categories lists them.";
        fields.broken("/category", "unknown", rule);
    }
    given.to_owned()
}

fn is_known(name: &str, known: &[String]) -> bool {
    name == SECURITY || known.iter().any(|category| category == name)
}

/// Checks what somebody decided.
///
/// # Errors
/// Every rule that is broken: categories and channels that there are not, and `security` switched off.
pub(crate) fn check_choices(choices: &Choices, known: &[String]) -> Result<()> {
    let mut fields = Fields::default();
    for (category, channels) in choices {
        let at = format!("/{}", escaped(category));
        if !is_known(category, known) {
            fields.broken(at, "unknown", "There is no such category.");
            continue;
        }
        for (channel, on) in channels {
            let at = format!("{at}/{}", escaped(channel));
            if Medium::from_word(channel).is_none() {
                fields.broken(at, "unknown", "There is no such channel; there are email, sms and inbox.");
            } else if category == SECURITY && !on {
                fields.broken(at, "always_on", "Messages about security can't be switched off.");
            }
        }
    }
    fields.finish()
}

/// RFC 6901 section 3; a name that was sent is cut, because it comes back in the answer.
fn escaped(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

/// What was decided for every category and channel; what nobody decided is on.
pub(crate) fn whole(choices: &Choices, known: &[String]) -> Choices {
    let names = std::iter::once(SECURITY).chain(known.iter().map(String::as_str));
    let row = |category: &str| {
        let on = |medium: &Medium| (medium.as_str().to_owned(), is_on(choices, category, *medium));
        Medium::ALL.iter().map(on).collect()
    };
    names.map(|category| (category.to_owned(), row(category))).collect()
}

/// Whether messages of this category may take this way.
pub(crate) fn is_on(choices: &Choices, category: &str, medium: Medium) -> bool {
    category == SECURITY
        || choices.get(category).and_then(|row| row.get(medium.as_str())).copied().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(category: &str, channel: &str, on: bool) -> Choices {
        [(category.to_owned(), [(channel.to_owned(), on)].into())].into()
    }

    #[test]
    fn categories_are_words() {
        let known = ["a_1".to_owned()];
        for (given, code) in [
            ("security", None),
            ("a_1", None),
            ("other", Some("unknown")),
            ("", Some("malformed")),
            ("A", Some("malformed")),
            ("1a", Some("malformed")),
            ("a b", Some("malformed")),
            ("a-b", Some("malformed")),
        ] {
            let mut fields = Fields::default();
            check(given, &known, &mut fields);
            let told = fields.finish().err().and_then(|error| Some(error.fields.first()?.code.to_string()));
            assert_eq!(told.as_deref(), code, "{given}");
        }
    }

    #[test]
    fn security_is_on_whatever_is_stored() {
        let off = choices("security", "email", false);
        assert!(is_on(&off, "security", Medium::Email));
        assert!(check_choices(&off, &[]).is_err());
        assert!(check_choices(&choices("security", "email", true), &[]).is_ok());
    }

    #[test]
    fn what_nobody_decided_is_on() {
        let known = ["news".to_owned()];
        let some = choices("news", "sms", false);
        assert!(check_choices(&some, &known).is_ok());
        assert!(!is_on(&some, "news", Medium::Sms) && is_on(&some, "news", Medium::Email));
        let all = whole(&some, &known);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["news", "security"]);
        assert_eq!(all.get("news").and_then(|row| row.get("sms")), Some(&false));
    }
}
