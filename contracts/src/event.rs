//! Events: what modules tell the world, in the form of CloudEvents 1.0 (JSON format).
//!
//! A fact is the typed content; an event is the fact in its envelope. Facts only ever gain fields, and carry no
//! secret: who needs one asks for it by id.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Caller, Error, EventId, Result, Time};

/// Something that happened, as its owner tells it.
pub trait Fact: Serialize + DeserializeOwned + Send + Sync {
    /// `module.noun.verb`, such as `users.user.created`; a promise.
    const TYPE: &'static str;
    /// Rises when a field changes its meaning, which should never happen.
    const VERSION: u32 = 1;

    /// The id of what it happened to.
    fn subject(&self) -> String;
}

/// A fact in its envelope (CloudEvents 1.0 section 3; extension attributes: actor, requestid, traceparent,
/// dataversion).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique over all events; who handles events remembers it.
    pub id: EventId,
    /// The module that tells it: `/auth`, `/users`, …
    pub source: String,
    /// The fact's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The id of what it happened to.
    pub subject: String,
    /// When.
    pub time: Time,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The fact's version.
    pub dataversion: u32,
    /// Who made it happen: `anonymous`, `user:<id>` or `module:<name>`.
    pub actor: String,
    /// The request that made it happen.
    pub requestid: String,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The fact.
    pub data: Value,
}

impl Event {
    /// Puts a fact into its envelope.
    ///
    /// # Errors
    /// `platform.internal` when the fact can't be written as JSON, which is a mistake in its type.
    pub fn of<F: Fact>(fact: &F, caller: &Caller, time: Time) -> Result<Self> {
        let module = F::TYPE.split('.').next().unwrap_or(F::TYPE);
        Ok(Self {
            specversion: "1.0".to_owned(),
            id: EventId::new(),
            source: format!("/{module}"),
            event_type: F::TYPE.to_owned(),
            subject: fact.subject(),
            time,
            datacontenttype: "application/json".to_owned(),
            dataversion: F::VERSION,
            actor: caller.actor.to_string(),
            requestid: caller.request_id.clone(),
            traceparent: caller.traceparent.clone(),
            data: serde_json::to_value(fact).map_err(Error::internal)?,
        })
    }

    /// Whether it tells this fact.
    #[must_use]
    pub fn is<F: Fact>(&self) -> bool {
        self.event_type == F::TYPE
    }

    /// Reads the fact.
    ///
    /// # Errors
    /// `platform.internal` when it is another one or doesn't have its shape.
    pub fn read<F: Fact>(&self) -> Result<F> {
        if !self.is::<F>() {
            return Err(Error::internal(format!("expected {}, got {}", F::TYPE, self.event_type)));
        }
        F::deserialize(&self.data).map_err(Error::internal)
    }

    /// The request that made it happen, as seen by the module that hears of it.
    #[must_use]
    pub fn caller(&self, module: &str) -> Caller {
        Caller {
            request_id: self.requestid.clone(),
            traceparent: self.traceparent.clone(),
            ..Caller::module(module)
        }
    }
}

/// What a fact looks like, for documents that describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactShape {
    /// Its type.
    pub event_type: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub description: &'static str,
    /// Its fields.
    pub fields: &'static [FieldShape],
}

/// What a field of a fact looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Its type, as the source writes it.
    pub kind: &'static str,
    /// What it says.
    pub description: &'static str,
}

/// Declares facts: a struct each, with its type and its subject.
macro_rules! facts {
    ($($(#[doc = $doc:literal])* $name:ident = $type:literal, about $subject:ident {
        $($(#[doc = $field_doc:literal])* $field:ident: $field_type:ty,)*
    })*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
            pub struct $name {
                $($(#[doc = $field_doc])* pub $field: $field_type,)*
            }

            impl $crate::Fact for $name {
                const TYPE: &'static str = $type;

                fn subject(&self) -> String {
                    self.$subject.to_string()
                }
            }
        )*

        /// The types of all facts this module tells.
        pub const FACTS: &[&str] = &[$($type),*];

        /// What they look like.
        pub const FACT_SHAPES: &[$crate::FactShape] = &[$($crate::FactShape {
            event_type: $type,
            name: stringify!($name),
            description: concat!($($doc),*),
            fields: &[$($crate::FieldShape {
                name: stringify!($field),
                kind: stringify!($field_type),
                description: concat!($($field_doc),*),
            }),*],
        }),*];
    };
}
pub(crate) use facts;
