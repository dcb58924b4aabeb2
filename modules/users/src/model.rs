//! Profiles and preferences, and the rules that need no database: what a name, a language, a time zone and a free
//! attribute look like, and how a merge patch changes them.

mod change;
mod export;
mod import;
mod listing;
mod preference;
mod rows;
mod search;
mod text;

pub(crate) use change::Change;
pub(crate) use export::{disarmed, head, line};
pub(crate) use import::{AccountIds, Checksums, ERRORS, Import, ImportFormat, ImportId, ImportRow, RowError};
pub(crate) use listing::{Entry, Found, Listing, Position, Sort};
pub(crate) use preference::{MAX_BYTES, Namespace, Preference, merge};
pub(crate) use rows::{Raw, Rows};
pub(crate) use search::{Search, end_of, terms};

use contracts::{Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The free attributes of a profile, or the preferences of a namespace.
pub(crate) type Object = Map<String, Value>;

/// What somebody says about himself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: UserId,
    pub(crate) display_name: Option<String>,
    pub(crate) given_name: Option<String>,
    pub(crate) family_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) attributes: Object,
    /// Rises by one with every change.
    pub(crate) revision: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
}

impl Profile {
    /// One that says nothing yet.
    pub(crate) fn empty(id: UserId, now: Time) -> Self {
        Self {
            id,
            display_name: None,
            given_name: None,
            family_name: None,
            phone: None,
            locale: None,
            time_zone: None,
            avatar_url: None,
            attributes: Object::new(),
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

impl From<Profile> for contracts::users::Profile {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile.id,
            display_name: profile.display_name,
            phone: profile.phone,
            locale: profile.locale,
            time_zone: profile.time_zone,
        }
    }
}

/// How deep values within values are, and how many bytes the whole is as JSON.
pub(crate) fn extent(value: &Value) -> (usize, usize) {
    let bytes = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    (depth(value), bytes)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
