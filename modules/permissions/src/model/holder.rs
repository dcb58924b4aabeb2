//! Who can hold roles and be in groups: a user, or a group of them.
//!
//! Anything else that calls itself a subject holds nothing, which is no error where a decision is asked for.

use contracts::permissions::Subject;
use contracts::{GroupId, UserId};
use serde::{Serialize, Serializer};

/// The type of subject that a person is.
const USER: &str = "user";

/// The type of subject that a group is.
const GROUP: &str = "group";

/// A user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A person.
    User(UserId),
    /// All who are in a group.
    Group(GroupId),
}

/// The text is not the type of a subject that can hold roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Must be user or group.")]
pub(crate) struct NotAHolder;

impl Holder {
    /// Reads a subject; none when it is of another type or has no such id.
    pub(crate) fn find(subject: &Subject) -> Option<Self> {
        Self::parse(&subject.subject_type, &subject.id).ok()?
    }

    /// Reads a type and an id; `Ok(None)` when only the id is wrong.
    ///
    /// # Errors
    /// When there is no such type.
    pub(crate) fn parse(kind: &str, id: &str) -> Result<Option<Self>, NotAHolder> {
        match kind {
            USER => Ok(id.parse().ok().map(Self::User)),
            GROUP => Ok(id.parse().ok().map(Self::Group)),
            _ => Err(NotAHolder),
        }
    }

    /// `user` or `group`.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => USER,
            Self::Group(_) => GROUP,
        }
    }

    /// The user, when it is one.
    pub(crate) const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Group(_) => None,
        }
    }

    /// The group, when it is one.
    pub(crate) const fn group(self) -> Option<GroupId> {
        match self {
            Self::Group(id) => Some(id),
            Self::User(_) => None,
        }
    }

    /// In the words of the contract.
    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::User(id) => Subject::user(id),
            Self::Group(id) => Subject::group(id),
        }
    }
}

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.subject().serialize(serializer)
    }
}
