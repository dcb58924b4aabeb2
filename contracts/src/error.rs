//! The one error that crosses a boundary: between modules, over the wire, and on its way to becoming an answer.
//!
//! Nine kinds, because a caller can do nine different things about it; a stable `code`, because programs compare;
//! a message for the person who reads it. What an operator needs is the source, and it never leaves the process.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What became of an ask.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of trouble it is, and so what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The ask breaks a rule; `fields` says which.
    Invalid,
    /// Nobody is logged in, or the proof is not good.
    Unauthenticated,
    /// Somebody is logged in, and may not do this.
    Denied,
    /// There is no such thing, or none that the caller may see.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// It was there once: used or expired.
    Gone,
    /// Too often; try again later.
    Limited,
    /// Something needed does not answer; try again later.
    Unavailable,
    /// A mistake of ours.
    Internal,
}

/// One rule that one field broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Where: a JSON pointer (RFC 6901) into the body, such as `/email`.
    pub pointer: String,
    /// Which rule, as a stable word, such as `too_long`.
    pub code: Cow<'static, str>,
    /// The rule in a sentence, for the person who reads it.
    pub message: Cow<'static, str>,
}

/// An error as modules tell it to each other. `Display` is the message, which any caller may read.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of trouble.
    pub kind: Kind,
    /// A stable word such as `users.email_taken`; never reused, never renamed.
    pub code: Cow<'static, str>,
    /// A sentence for the caller; holds no secret and no address.
    pub message: Cow<'static, str>,
    /// Every rule that was broken, when the kind is [`Kind::Invalid`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// When to try again, in seconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What the operator should read. It is logged where the error becomes an answer and is never sent.
    #[serde(skip)]
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $function:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $function(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(Kind::$kind, code, message)
        }
    )*};
}

impl Error {
    /// An error without fields, retry time and source.
    #[must_use]
    pub fn new(kind: Kind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    kinds! {
        /// A broken rule. [`Fields`] builds one that says which field broke it.
        invalid => Invalid;
        /// Nobody is logged in, or the proof is not good.
        unauthenticated => Unauthenticated;
        /// The caller may not do this.
        denied => Denied;
        /// There is no such thing.
        not_found => NotFound;
        /// It contradicts what is there.
        conflict => Conflict;
        /// Used or expired.
        gone => Gone;
        /// Too often.
        limited => Limited;
        /// Something needed does not answer.
        unavailable => Unavailable;
    }

    /// A mistake of ours, with what the operator should read.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Kind::Internal,
            "platform.internal",
            "Something went wrong on our side. It has been recorded.",
        )
        .caused_by(source)
    }

    /// The same error, with what the operator should read.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The same error, with the seconds after which trying again makes sense (at least one).
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// The same error, with the field that broke the rule.
    #[must_use]
    pub fn at(
        mut self,
        pointer: impl Into<String>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.fields.push(Field { pointer: pointer.into(), code: code.into(), message: message.into() });
        self
    }
}

/// Collects every broken rule of one input, so that a caller learns all of them at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Notes a broken rule.
    pub fn broken(
        &mut self,
        pointer: impl Into<String>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Field { pointer: pointer.into(), code: code.into(), message: message.into() });
    }

    /// Notes a broken rule that another parser found.
    pub fn field(&mut self, field: Field) {
        self.0.push(field);
    }

    /// Takes a parsed value, or notes the rule that it broke. The rule's stable word and its sentence come from
    /// the parser's error.
    pub fn take<T, E: Into<(&'static str, Cow<'static, str>)>>(
        &mut self,
        pointer: &str,
        parsed: std::result::Result<T, E>,
    ) -> Option<T> {
        parsed
            .map_err(|error| {
                let (code, message) = error.into();
                self.broken(pointer, code, message);
            })
            .ok()
    }

    /// Whether no rule was broken so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// `platform.invalid_input` with all the broken rules, when there are any.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut error = Error::invalid("platform.invalid_input", "The input breaks at least one rule.");
        error.fields = self.0;
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_stays_here_when_an_error_travels() {
        let error = Error::internal("host db-7 refused").retry_after(0).at("/email", "too_long", "Too long.");
        let text = serde_json::to_string(&error).unwrap();
        assert!(!text.contains("db-7"), "{text}");
        let back: Error = serde_json::from_str(&text).unwrap();
        assert_eq!((back.kind, back.retry_after, back.fields.len()), (Kind::Internal, Some(1), 1));
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let mut fields = Fields::default();
        assert_eq!(fields.take("/a", Err::<(), _>(("too_short", "Too short.".into()))), None);
        assert_eq!(fields.take("/b", Ok::<_, (&'static str, Cow<'static, str>)>(7)), Some(7));
        fields.broken("/c", "unknown", "Unknown.");
        let error = fields.finish().unwrap_err();
        let pointers: Vec<_> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/c"]);
    }
}
