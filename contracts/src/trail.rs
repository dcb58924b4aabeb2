//! What every process of Doorward answers about its own audit trail, so that whoever is asked can show all of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::contract;
use crate::{AuditEventId, Module, SessionId, Time};

/// Asks for entries, newest first; what is none does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntries {
    /// Done by this user (id) or module (name).
    pub actor_id: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// Done to this.
    pub subject_id: Option<String>,
    /// At this instant or later.
    pub from: Option<Time>,
    /// Before this instant.
    pub to: Option<Time>,
    /// Those after this one: the `at` and `id` of the last entry that is known.
    pub after: Option<(Time, AuditEventId)>,
    /// At most so many, up to 10,000.
    pub limit: u32,
}

/// Some entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entries {
    /// By time and id, newest first; fewer than asked for means that there are no more.
    pub items: Vec<TrailEntry>,
}

/// An entry of the trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: Time,
    /// What was done, as a stable word.
    pub action: String,
    /// `succeeded`, `refused` or `failed`.
    pub outcome: String,
    /// `user`, `module` or `anonymous`.
    pub actor_type: String,
    /// The user's id or the module's name.
    pub actor_id: Option<String>,
    /// The login it came from.
    pub session: Option<SessionId>,
    /// The request it belongs to.
    pub request_id: String,
    /// Where the request came from.
    pub client_address: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// What kind of thing it was done to.
    pub subject_type: String,
    /// Its id.
    pub subject_id: String,
    /// What was there, without secrets and addresses.
    pub before: Option<Value>,
    /// What is there now, without secrets and addresses.
    pub after: Option<Value>,
}

contract! {
    /// What a process may be asked about its own part of the trail. Who may read the trail is decided by whoever asks.
    "platform" Trail / RemoteTrail / trail_routes {
        /// Entries of the asked process's own database.
        repeatable list_entries(ListEntries) -> Entries, by &Module::ALL;
    }
}
