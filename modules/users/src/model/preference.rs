//! Preferences: a JSON object for each namespace, such as `editor`, that only its owner reads and writes.

use std::fmt;
use std::str::FromStr;

use contracts::{Error, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Object;

/// Bytes that the preferences of one namespace may have, as JSON.
pub(crate) const MAX_BYTES: usize = 16 * 1024;

/// The name of a set of preferences: a small letter, then at most 62 small letters, digits, `_`, `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Namespace(String);

impl Namespace {
    /// The name that somebody chose for a namespace he writes.
    ///
    /// # Errors
    /// The rule of names, at `/namespace`.
    pub(crate) fn chosen(text: &str) -> contracts::Result<Self> {
        let rule = "Must be a small letter, then at most 62 small letters, digits, _, . or -.";
        text.parse().map_err(|_| {
            let error = Error::invalid("platform.invalid_input", "The input breaks at least one rule.");
            error.at("/namespace", "malformed_namespace", rule)
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        let good = (1..=63).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(fits);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err("a namespace is a word such as editor or my-app.theme")
        }
    }
}

impl TryFrom<String> for Namespace {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.0
    }
}

/// The preferences of one namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preference {
    pub(crate) namespace: Namespace,
    pub(crate) value: Object,
    /// Rises by one with every change. It begins above that of every namespace that was removed, so that one that is
    /// made again never has a revision of the former one.
    pub(crate) revision: i64,
    pub(crate) updated_at: Time,
}

/// Applies a merge patch (RFC 7396 section 2): null takes away, objects merge, everything else replaces.
pub(crate) fn merge(target: &mut Object, patch: Object) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(inner) => {
                let slot = target.entry(name).or_insert_with(|| Value::Object(Object::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Object::new());
                }
                if let Value::Object(nested) = slot {
                    merge(nested, inner);
                }
            }
            value => {
                target.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn merging_follows_the_rfc() {
        for (target, patch, merged) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut object = target.as_object().unwrap().clone();
            merge(&mut object, patch.as_object().unwrap().clone());
            assert_eq!(Value::Object(object), merged, "{target} patched with {patch}");
        }
    }

    #[test]
    fn namespaces_are_plain_words() {
        for good in ["editor", "a", "my-app.theme_2"] {
            assert!(good.parse::<Namespace>().is_ok(), "{good}");
        }
        for bad in ["", "Editor", "1st", "..", "../etc", "a/b", "a b", "é", "a\0", &"a".repeat(64)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }
}
