//! Who is asking, on behalf of which request: travels beside every ask, in headers when the asked one is far away.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{SessionId, UserId};

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody we know.
    Anonymous,
    /// A person who is logged in.
    User {
        /// The person.
        id: UserId,
        /// The login this comes from.
        session: SessionId,
    },
    /// A part of Doorward itself, by name.
    Module {
        /// `auth`, `notifications`, …
        name: String,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::User { id, .. } => write!(f, "user:{id}"),
            Self::Module { name } => write!(f, "module:{name}"),
        }
    }
}

/// Who is asking, and the request it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The id of the request that started it all; appears in logs, audit and answers.
    pub request_id: String,
    /// The trace it belongs to (W3C Trace Context), when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<IpAddr>,
    /// What the client says it is: at most 256 characters, no control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Caller {
    /// A part of Doorward acting by itself, outside of any request.
    #[must_use]
    pub fn module(name: &str) -> Self {
        Self {
            actor: Actor::Module { name: name.to_owned() },
            request_id: uuid::Uuid::now_v7().to_string(),
            traceparent: None,
            client_address: None,
            user_agent: None,
        }
    }

    /// The same request, asked by a part of Doorward: for what a person sets off but may not do himself.
    #[must_use]
    pub fn acting_as_module(&self, name: &str) -> Self {
        Self { actor: Actor::Module { name: name.to_owned() }, ..self.clone() }
    }

    /// The person, when one is logged in.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id, .. } => Some(id),
            Actor::Anonymous | Actor::Module { .. } => None,
        }
    }
}
