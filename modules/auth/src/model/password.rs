//! Passwords as people choose them, and the rules a new one must keep.
//!
//! The rules follow NIST SP 800-63B-4 section 3.1.1.2: long enough, not one that everybody tries, not made of what the
//! account shows anyway, and nothing about which signs it must hold. Passwords are compared as they were typed: never
//! cut, trimmed or folded. Hashing is in `service/passwords.rs`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// More is refused unseen: the cost of hashing must not be the caller's to choose.
const MAX_BYTES: usize = 1024;

/// Passwords that are tried first everywhere, lower case, one a line.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("password/common.txt").lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
});

/// Words that everybody who attacks this service knows.
const CONTEXT: [&str; 1] = ["doorward"];

/// A password somebody typed. It is wiped when dropped, and `Debug` hides it.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// What was typed, whatever it is.
    pub(crate) fn typed(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The bytes that are hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it is short enough to be looked at at all.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= MAX_BYTES
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::typed)
    }
}

/// A rule that a new password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    TooShort { min: usize },
    TooLong,
    Common,
    ContainsAddress,
}

impl From<Rule> for (&'static str, Cow<'static, str>) {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::TooShort { min } => {
                ("too_short", format!("A password needs at least {min} characters.").into())
            }
            Rule::TooLong => ("too_long", "A password has at most 1024 bytes.".into()),
            Rule::Common => {
                ("common_password", "This password is among the first that anybody tries.".into())
            }
            Rule::ContainsAddress => (
                "contains_address",
                "A password must be more than your address, your name or the service's name with a few signs."
                    .into(),
            ),
        }
    }
}

/// What a new password must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    /// Characters (Unicode code points) that a password needs.
    pub(crate) min_length: usize,
    /// Words that everybody who attacks this installation knows.
    pub(crate) context_words: &'a [String],
}

/// The words that say for whom a password is: of the address what stands before the @, its parts and those of the
/// domain but the last one, and of the name its words.
pub(crate) fn about(address: Option<&str>, name: Option<&str>) -> Vec<String> {
    let (local, domain) = address.and_then(|it| it.split_once('@')).unwrap_or_default();
    let (labels, _) = domain.rsplit_once('.').unwrap_or_default();
    let parts = [local, labels, name.unwrap_or_default()];
    let parts = parts.into_iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let parts = parts.filter(|word| word.chars().count() >= 4).map(str::to_lowercase);
    std::iter::once(local.to_lowercase()).filter(|local| !local.is_empty()).chain(parts).collect()
}

impl Policy<'_> {
    /// Every rule that the password breaks; none when it is good. `about` are the words that say for whom it is.
    pub(crate) fn broken(self, password: &Password, about: &[String]) -> Vec<Rule> {
        if !password.fits() {
            return vec![Rule::TooLong];
        }
        let folded = Zeroizing::new(password.0.to_lowercase());
        let mut broken = Vec::new();
        if password.0.chars().count() < self.min_length {
            broken.push(Rule::TooShort { min: self.min_length });
        }
        if is_common(&folded) || is_run(&folded) {
            broken.push(Rule::Common);
        }
        let words = self.context_words.iter().chain(about).map(String::as_str);
        if CONTEXT.into_iter().chain(words).any(|word| self.leans_on(&folded, word)) {
            broken.push(Rule::ContainsAddress);
        }
        broken
    }

    /// Whether the password is that word, or has it and would be too short without it. A long password may hold it:
    /// what is left is a password by itself.
    fn leans_on(self, folded: &str, word: &str) -> bool {
        let word = word.to_lowercase();
        let rest = folded.replace(&word, "");
        folded == word
            || (word.chars().count() >= 4
                && rest.len() < folded.len()
                && rest.chars().count() < self.min_length)
    }
}

/// Whether it is one that is tried first: as it is, with its look-alike signs read as letters, or with a few digits and
/// signs around it, which is how everybody makes a word longer.
fn is_common(folded: &str) -> bool {
    let listed = |text: &str| COMMON.contains(text);
    let plain = Zeroizing::new(letters(folded, 'i'));
    let other = Zeroizing::new(letters(folded, 'l'));
    let core = folded.trim_matches(|c: char| !c.is_alphabetic());
    let added = folded.chars().count().saturating_sub(core.chars().count());
    listed(folded)
        || listed(&plain)
        || listed(&other)
        || ((1..=5).contains(&added) && (listed(core) || listed(&letters(core, 'i'))))
}

/// Signs read as the letters that they look like; a one is either of two.
fn letters(text: &str, one: char) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    };
    text.chars().map(letter).collect()
}

/// One character over and over, or neighbours in a row, up or down (`aaaaaaaa`, `23456789`, `hgfedcba`).
fn is_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let mut steps = codes.iter().zip(codes.iter().skip(1)).map(|(a, b)| b - a);
    match steps.next() {
        Some(first @ (-1..=1)) => steps.all(|step| step == first),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<&'static str> {
        let words = ["Hedgehog".to_owned()];
        let policy = Policy { min_length: 8, context_words: &words };
        let about = about(Some("mia.hale@corp.widgetry.test"), Some("Mia Oppenheimer"));
        let rules = policy.broken(&Password::typed(text.to_owned()), &about);
        rules.into_iter().map(|rule| <(&'static str, Cow<'static, str>)>::from(rule).0).collect()
    }

    #[test]
    fn good_ones_are_good_whatever_they_hold() {
        let long = "a long one ".repeat(8);
        for text in ["correct horse battery", "äöü-ßéè-漢字", "        #", &long, "mia.hale likes her garden"]
        {
            assert_eq!(broken(text), Vec::<&str>::new(), "{text}");
        }
        assert_eq!(broken(&"xyz!".repeat(256)), Vec::<&str>::new());
    }

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(broken("漢字漢字漢字漢"), ["too_short"]);
        assert_eq!(broken("漢字漢字漢字漢x"), Vec::<&str>::new());
        assert_eq!(broken(&"xyz!".repeat(257)), ["too_long"]);
    }

    #[test]
    fn every_broken_rule_is_told() {
        assert_eq!(broken("123456"), ["too_short", "common_password"]);
        assert_eq!(broken(""), ["too_short"]);
    }

    #[test]
    fn what_everybody_tries_is_refused_in_any_case() {
        for text in
            ["password", "PassWord1", "qwertyuiop", "aaaaaaaaaaaa", "23456789", "hgfedcba", "iloveyou"]
        {
            assert_eq!(broken(text), ["common_password"], "{text}");
        }
        assert!(COMMON.len() >= 5_000, "{}", COMMON.len());
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase() && word.chars().count() >= 4));
    }

    #[test]
    fn dressing_a_common_one_up_does_not_help() {
        for text in [
            "p@ssw0rd",
            "Passw0rd!",
            "Sunshine2026!",
            "!!football",
            "1l0vey0u",
            "Qwertyuiop123",
            "dragon2024!",
            "Summer2026!",
        ] {
            assert_eq!(broken(text), ["common_password"], "{text}");
        }
        for text in ["sunshine over the bay", "footballwidow", "dragonfly-lamp", "p@ssw0rd of the day"] {
            assert_eq!(broken(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn words_of_the_service_its_owner_and_its_address_are_refused() {
        for text in ["hedgehog1", "HEDGEHOG!!", "oppenheimer7", "Widgetry2026", "corp2026!!"] {
            assert_eq!(broken(text), ["contains_address"], "{text}");
        }
    }

    #[test]
    fn the_address_with_a_few_signs_is_refused() {
        for text in ["mia.hale", "Mia.Hale!", "2026mia.hale", "mia.halemia.hale", "doorward1!"] {
            assert_eq!(broken(text), ["contains_address"], "{text}");
        }
    }

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Password::typed("hunter2".to_owned())), "Password(***)");
    }
}
