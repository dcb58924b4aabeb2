//! Typed ids: UUIDv7 (RFC 9562 section 5.7), so that they sort by creation time on both database engines.
//!
//! One type for each kind, because a session id that is taken for a user id is a hole. Private ids of one module
//! are made there, with the same shape.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct ParseIdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Uuid))]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id, later than every id this process made before.
            #[expect(clippy::new_without_default, reason = "a default id would be a new one each time")]
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id that a stored or received UUID stands for.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID beneath.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Accepts the hyphenated form only: other spellings of one id would be a second name for it.
            fn from_str(text: &str) -> std::result::Result<Self, ParseIdError> {
                if text.len() != 36 {
                    return Err(ParseIdError);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError)
            }
        }
    )*};
}

ids! {
    /// A person with an account: owned by auth, used as subject everywhere.
    UserId;
    /// One login of one person on one device; also the family of its refresh tokens.
    SessionId;
    /// A request for a one-time secret: a verification, a reset, an invitation.
    OneTimeRequestId;
    /// An event; also the message id on a broker and the key of the inbox.
    EventId;
    /// A role given to a subject.
    AssignmentId;
    /// A group: owned by permissions, a subject that has members.
    GroupId;
    /// A message to one person, over one or several channels.
    NotificationId;
    /// An entry of the audit trail.
    AuditEventId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_sort_by_creation() {
        let ids: Vec<UserId> = (0..100).map(|_| UserId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn only_the_hyphenated_spelling_is_an_id() {
        let id = UserId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in
            [id.uuid().simple().to_string(), format!("{{{id}}}"), format!("urn:uuid:{id}"), String::new()]
        {
            assert_eq!(wrong.parse::<UserId>(), Err(ParseIdError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_the_text_it_was_read_from(text in "[0-9a-fA-F-]{30,40}", bits: u128, other in any::<String>()) {
            for text in [text, other, uuid::Uuid::from_u128(bits).to_string()] {
                let Ok(id) = text.parse::<UserId>() else { continue };
                prop_assert_eq!(id.to_string(), text.to_lowercase());
            }
        }
    }
}
