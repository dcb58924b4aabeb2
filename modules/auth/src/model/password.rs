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
                "A password must be more than the e-mail address or the service's name with a few signs."
                    .into(),
            ),
        }
    }
}

/// What a new password must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Characters (Unicode code points) that a password needs.
    pub(crate) min_length: usize,
}

impl Policy {
    /// Every rule that the password breaks; none when it is good. `local_part` is what stands before the @ of the
    /// account's address, when that is known.
    pub(crate) fn broken(self, password: &Password, local_part: Option<&str>) -> Vec<Rule> {
        if !password.fits() {
            return vec![Rule::TooLong];
        }
        let folded = Zeroizing::new(password.0.to_lowercase());
        let mut broken = Vec::new();
        if password.0.chars().count() < self.min_length {
            broken.push(Rule::TooShort { min: self.min_length });
        }
        if COMMON.contains(folded.as_str()) || is_run(&folded) {
            broken.push(Rule::Common);
        }
        if CONTEXT.into_iter().chain(local_part).any(|word| self.leans_on(&folded, word)) {
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
        let policy = Policy { min_length: 8 };
        let rules = policy.broken(&Password::typed(text.to_owned()), Some("mia.hale"));
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
        assert!(COMMON.len() >= 300, "{}", COMMON.len());
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase() && word.chars().count() >= 6));
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
