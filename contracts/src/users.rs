//! What users answers and tells: profiles and preferences.

use serde::{Deserialize, Serialize};

use crate::event::facts;
use crate::wire::contract;
use crate::{ExportPerson, Module, PersonalData, UserId};

/// A profile as other modules see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Whose.
    pub id: UserId,
    /// How the person is called.
    pub display_name: Option<String>,
    /// The person's phone number (E.164), as the person wrote it down; nobody has proven it.
    pub phone: Option<String>,
    /// The language to speak to the person (BCP 47).
    pub locale: Option<String>,
    /// The person's time zone (IANA name).
    pub time_zone: Option<String>,
}

/// Asks for one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindProfile {
    /// Whose.
    pub user: UserId,
}

contract! {
    /// What other modules may ask of users.
    "users" Users / RemoteUsers / users_routes {
        /// One profile, or none when nothing is known about the person yet.
        repeatable find_profile(FindProfile) -> Option<Profile>, by &[Module::Notifications];
        /// Everything users knows about a person: `profile`, `preferences`.
        repeatable export_person(ExportPerson) -> PersonalData, by &[Module::Users];
    }
}

facts! {
    /// A profile came into being.
    UserCreated = "users.user.created", about user {
        /// Whose.
        user: UserId,
    }

    /// A profile changed.
    UserUpdated = "users.user.updated", about user {
        /// Whose.
        user: UserId,
        /// The names of the fields that changed, not their values.
        changed: Vec<String>,
    }

    /// A preference was set or removed.
    PreferenceChanged = "users.preference.changed", about user {
        /// Whose.
        user: UserId,
        /// Which namespace.
        namespace: String,
    }
}
