//! Lists of users: in which order, which of them, and where a page goes on.

use std::cmp::Ordering;

use contracts::auth::{Account, AccountState};
use contracts::{EmailAddress, Error, Result, Time, UserId};
use serde::{Deserialize, Serialize};

/// An account as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) email_verified: bool,
    pub(crate) state: AccountState,
    /// The account's revision.
    pub(crate) revision: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

impl Entry {
    /// The account.
    ///
    /// # Errors
    /// When what is kept is no address.
    pub(crate) fn account(self) -> Result<Account> {
        Ok(Account {
            id: self.id,
            email: EmailAddress::parse(&self.email).map_err(Error::internal)?,
            email_verified: self.email_verified,
            state: self.state,
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// In which order users are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) enum Sort {
    /// Those who registered last come first.
    #[default]
    #[serde(rename = "-created_at")]
    Newest,
    /// Those who registered first come first.
    #[serde(rename = "created_at")]
    Oldest,
    /// By address.
    #[serde(rename = "email")]
    Email,
    /// By address, the last one first.
    #[serde(rename = "-email")]
    EmailBackwards,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Position {
    /// In a list by time.
    Time(Time, UserId),
    /// In a list by address.
    Email(String, UserId),
}

impl Sort {
    /// Which of two comes first.
    pub(crate) fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        match self {
            Self::Oldest => (one.created_at, one.id).cmp(&(other.created_at, other.id)),
            Self::Email => (&one.email, one.id).cmp(&(&other.email, other.id)),
            Self::Newest => Self::Oldest.compare(other, one),
            Self::EmailBackwards => Self::Email.compare(other, one),
        }
    }

    /// Where an entry stands.
    pub(crate) fn position(self, entry: &Entry) -> Position {
        match self {
            Self::Newest | Self::Oldest => Position::Time(entry.created_at, entry.id),
            Self::Email | Self::EmailBackwards => Position::Email(entry.email.clone(), entry.id),
        }
    }

    /// Whether an entry comes after a position of this order.
    pub(crate) fn is_after(self, entry: &Entry, position: &Position) -> bool {
        let order = match (self.position(entry), position) {
            (Position::Time(at, id), Position::Time(end, last)) => (at, id).cmp(&(*end, *last)),
            (Position::Email(email, id), Position::Email(end, last)) => (&email, id).cmp(&(end, *last)),
            _ => Ordering::Equal,
        };
        match self {
            Self::Oldest | Self::Email => order == Ordering::Greater,
            Self::Newest | Self::EmailBackwards => order == Ordering::Less,
        }
    }
}

/// Which users, in which order, from where on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) sort: Sort,
    pub(crate) state: Option<AccountState>,
    pub(crate) search: super::Search,
    pub(crate) after: Option<Position>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// A page of what was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found<T> {
    pub(crate) items: Vec<T>,
    /// Where to go on; there may be more even when the page is not full.
    pub(crate) next: Option<Position>,
}
