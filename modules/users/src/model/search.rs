//! What a user is found by: the words of his names and of his address, and how a search is cut into words.
//!
//! Words are compared without case and without accents: `zoe` finds Zoë. Left out: words in the middle of others, and
//! spelling.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Profile;

/// Characters of a word that count.
const WORD: usize = 100;

/// Words that are kept of one user at most.
const WORDS: usize = 64;

/// A text in the form in which it is compared.
fn folded(text: &str) -> String {
    let lower: String = text.nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>().to_lowercase();
    lower.nfkd().filter(|c| !is_combining_mark(*c) && *c != '\0').collect()
}

fn cut(word: &str) -> String {
    word.chars().take(WORD).collect()
}

/// The words of a text, each whole and, where signs stand in it, in its parts.
fn words_of(text: &str, found: &mut BTreeSet<String>) {
    for word in folded(text).split_whitespace() {
        let parts = word.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        let all = std::iter::once(word).chain(parts).map(cut);
        found.extend(all.take(WORDS.saturating_sub(found.len())));
    }
}

/// Every word that somebody with this address and these names is found by.
pub(crate) fn terms(email: &str, profile: Option<&Profile>) -> BTreeSet<String> {
    let mut found = BTreeSet::from([cut(&folded(email))]);
    let (local, domain) = email.split_once('@').unwrap_or((email, ""));
    words_of(local, &mut found);
    found.extend((!domain.is_empty()).then(|| cut(&folded(domain))));
    let names = profile.map(|it| [&it.display_name, &it.given_name, &it.family_name]);
    for name in names.into_iter().flatten().flatten() {
        words_of(name, &mut found);
    }
    found
}

/// What is searched for: up to 8 words, each the beginning of a word of whoever is found; 200 characters at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Search(Vec<String>);

impl Search {
    /// The words, those first that narrow most: the longest.
    pub(crate) fn words(&self) -> &[String] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if text.chars().count() > 200 {
            return None;
        }
        let words: BTreeSet<String> = folded(text).split_whitespace().map(cut).collect();
        let mut words: Vec<String> = words.into_iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        (words.len() <= 8).then_some(Self(words))
    }
}

impl<'de> Deserialize<'de> for Search {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Search;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("at most 8 words and 200 characters")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Search, E> {
                Search::parse(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("a text"), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Where the words end that begin so.
pub(crate) fn end_of(word: &str) -> String {
    format!("{word}{}", char::MAX)
}

#[cfg(test)]
mod tests {
    use contracts::{Time, UserId};
    use proptest::prelude::*;

    use super::*;

    fn finds(search: &str, email: &str, name: &str) -> bool {
        let mut profile = Profile::empty(UserId::new(), Time::from_micros(0));
        profile.display_name = Some(name.to_owned());
        let terms = terms(email, Some(&profile));
        let words = Search::parse(search).unwrap();
        words.words().iter().all(|word| {
            terms.range(word.clone()..end_of(word)).next().is_some_and(|term| term.starts_with(word.as_str()))
        })
    }

    #[test]
    fn beginnings_of_names_and_addresses_are_found() {
        for search in [
            "zoe",
            "ZOË",
            "zo lind",
            "lind zo",
            "anna",
            "maria",
            "anna-m",
            "z.l",
            "z.lindström@ex",
            "z.lindstrom@example.org",
            "example",
            "lindstrom",
            "  zoë   ",
        ] {
            assert!(finds(search, "z.lindström@example.org", "Zoë Anna-Maria Lindström"), "{search}");
        }
        for search in ["oe", "zoe x", "org", "%", "_", "' OR 1=1 --", "zoe'"] {
            assert!(!finds(search, "z.lindström@example.org", "Zoë Anna-Maria Lindström"), "{search}");
        }
    }

    #[test]
    fn a_search_has_bounds() {
        assert!(Search::parse(&"x".repeat(201)).is_none());
        assert!(Search::parse("a b c d e f g h i").is_none());
        assert!(Search::parse(" ").unwrap().words().is_empty());
    }

    proptest! {
        #[test]
        fn a_search_is_cut_the_same_again(text in any::<String>(), words in "[a-zA-Z\u{e4}\u{df}\u{130}\u{301} ]{0,60}") {
            for text in [text, words] {
                let Some(search) = Search::parse(&text) else { continue };
                let again = Search::parse(&search.words().join(" "));
                prop_assert!(again.is_some_and(|again| again.words() == search.words()), "{:?}", search.words());
            }
        }

        #[test]
        fn whatever_a_name_is_its_words_are_few_and_find_it(name in "\\PC{1,200}") {
            let mut profile = Profile::empty(UserId::new(), Time::from_micros(0));
            profile.display_name = Some(name);
            let found = terms("mia@example.org", Some(&profile));
            prop_assert!(found.len() <= WORDS + 1);
            prop_assert!(found.iter().all(|term| term.chars().count() <= WORD && !term.contains('\0')));
        }
    }
}
