//! A permission such as `documents:read`: what it may say and what it covers.
//!
//! The stars of `*:*` live only in permissions, never in questions: a question about a resource whose type is
//! literally `*` or `own` meets no special treatment.

use crate::model::Question;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The word that stands for "whatever belongs to the subject" in front of the colon.
const OWN: &str = "own";

/// The longest word on either side of the colon, in characters.
const MAX_WORD: usize = 63;

/// The things a permission speaks about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// `*`: everything.
    Any,
    /// `own`: what belongs to the subject, whatever its type.
    Own,
    /// Exactly this resource type.
    Type(Arc<str>),
}

/// The things a permission lets one do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// `*`: every action.
    Any,
    /// Exactly this action.
    Named(Arc<str>),
}

/// `resource:action`; each side is a word or a star.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Permission {
    /// Left of the colon.
    pub(crate) target: Target,
    /// Right of the colon.
    pub(crate) verb: Verb,
}

/// The text is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A permission is resource:action; each side is * or a lower-case word of at most 63 letters, digits, _ and -."
)]
pub(crate) struct NotAPermission;

impl Permission {
    /// Whether whoever holds `self` without bounds also holds `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let target = self.target == Target::Any || self.target == other.target;
        let verb = self.verb == Verb::Any || self.verb == other.verb;
        target && verb
    }

    /// Whether it is, taken alone, a yes to the question.
    pub(crate) fn answers(&self, question: Question<'_>) -> bool {
        let target = match &self.target {
            Target::Any => true,
            Target::Own => question.own,
            Target::Type(word) => word.as_ref() == question.resource_type,
        };
        let verb = match &self.verb {
            Verb::Any => true,
            Verb::Named(word) => word.as_ref() == question.action,
        };
        target && verb
    }

    /// The permission to do exactly this, when it can be written down.
    pub(crate) fn exactly(question: Question<'_>) -> Option<Self> {
        let writable = is_word(question.resource_type) && question.resource_type != OWN;
        (writable && is_word(question.action)).then(|| Self {
            target: Target::Type(question.resource_type.into()),
            verb: Verb::Named(question.action.into()),
        })
    }
}

impl FromStr for Permission {
    type Err = NotAPermission;

    fn from_str(text: &str) -> Result<Self, NotAPermission> {
        let (target, verb) = text.split_once(':').ok_or(NotAPermission)?;
        let target = match target {
            "*" => Target::Any,
            OWN => Target::Own,
            word if is_word(word) => Target::Type(word.into()),
            _ => return Err(NotAPermission),
        };
        let verb = match verb {
            "*" => Verb::Any,
            word if is_word(word) => Verb::Named(word.into()),
            _ => return Err(NotAPermission),
        };
        Ok(Self { target, verb })
    }
}

impl TryFrom<String> for Permission {
    type Error = NotAPermission;

    fn try_from(text: String) -> Result<Self, NotAPermission> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.to_string()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match &self.target {
            Target::Any => "*",
            Target::Own => OWN,
            Target::Type(word) => word,
        };
        let verb = match &self.verb {
            Verb::Any => "*",
            Verb::Named(word) => word,
        };
        write!(f, "{target}:{verb}")
    }
}

/// Whether the text is `[a-z][a-z0-9_-]{0,62}`, the shape of both sides and of a resource type.
pub(crate) fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}
