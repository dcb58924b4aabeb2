//! The words Doorward's modules use with each other.
//!
//! Everything a module may ask of another one (contracts), everything it may tell the world (facts), and the few
//! values both sides must agree on: ids, times, addresses, errors, and who is asking. No I/O, no SQL and no web
//! framework live here by default, and because no transaction can be named here, every contract can be remote.
//!
//! Features: `sql` makes ids and times usable as diesel columns, `serve` adds the internal routes that answer the client
//! of a contract.

pub mod auth;
mod caller;
mod concealed;
mod email;
mod error;
mod event;
mod ids;
mod module;
pub mod notifications;
pub mod permissions;
mod person;
mod phone;
mod time;
pub mod trail;
pub mod users;
pub mod wire;
pub mod words;

pub use caller::{Actor, Caller};
pub use concealed::Concealed;
pub use email::{AddressError, EmailAddress};
pub use error::{Error, Field, Fields, Kind, Result};
pub use event::{Event, Fact, FactShape, FieldShape};
pub use ids::{
    AssignmentId, AuditEventId, EventId, GroupId, NotificationId, OneTimeRequestId, ParseIdError, SessionId,
    UserId,
};
pub use module::Module;
pub use person::{ExportPerson, PersonalData};
pub use phone::{PhoneError, PhoneNumber};
pub use time::Time;
