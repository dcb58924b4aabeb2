//! What somebody wants to write, once it has been read: roles and assignments that break no rule of their own.
//!
//! Every broken rule is told at once, with a JSON pointer into the body. Rules that need the other roles, or who is
//! asking, come later.

use crate::model::permission::is_word;
use crate::model::{Holder, Permission, Resource, Role, RoleName};
use contracts::permissions::{ResourceRef, Subject};
use contracts::{Fields, Result, Time};
use std::collections::HashSet;
use std::hash::Hash;
use std::str::FromStr;

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// The most permissions a role lists by itself.
const MAX_PERMISSIONS: usize = 200;

/// The most roles a role inherits directly.
const MAX_INHERITS: usize = 32;

/// The longest id of a subject or a resource, and the longest type or action asked about, in characters.
const MAX_ID: usize = 255;

/// The text is not a name for something outside: it is empty, longer than 255 characters or holds control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Must have 1 to 255 characters, none of them a control character.")]
pub(crate) struct NotAnId;

/// Passes a text that may stand for a type, an id or an action that other systems chose.
pub(crate) fn id(text: &str) -> Result<String, NotAnId> {
    let short = text.len() <= MAX_ID * 4 && text.chars().count() <= MAX_ID;
    let fits = !text.is_empty() && short && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or(NotAnId)
}

/// The fields of a role as they were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleText {
    /// The name.
    pub(crate) name: String,
    /// The name once more, where it is known from elsewhere.
    pub(crate) repeated_name: Option<String>,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// `resource:action` each.
    pub(crate) permissions: Vec<String>,
    /// Names of roles.
    pub(crate) inherits: Vec<String>,
}

/// A role that somebody wants to make, or the state that somebody wants it to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleDraft {
    /// The name.
    pub(crate) name: RoleName,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// What it allows by itself.
    pub(crate) permissions: Vec<Permission>,
    /// The roles it builds on; that they exist is not known yet.
    pub(crate) inherits: Vec<RoleName>,
}

impl RoleDraft {
    /// Reads a role.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub(crate) fn parse(text: RoleText) -> Result<Self> {
        let mut fields = Fields::default();
        let name = fields.take("/name", text.name.parse::<RoleName>());
        if text.repeated_name.is_some_and(|again| again != text.name) {
            fields.broken(
                "/name",
                "fixed",
                "A role keeps its name: leave it out or repeat the one in the path.",
            );
        }
        let description = description(&mut fields, text.description);
        let permissions = list(&mut fields, "/permissions", MAX_PERMISSIONS, &text.permissions);
        let inherits = list(&mut fields, "/inherits", MAX_INHERITS, &text.inherits);
        match name {
            Some(name) if fields.is_empty() => Ok(Self { name, description, permissions, inherits }),
            _ => Err(broken(fields)),
        }
    }

    /// The role that is now to be kept, after `before` when there was one.
    pub(crate) fn into_role(self, before: Option<&Role>, now: Time) -> Role {
        Role {
            name: self.name,
            description: self.description,
            permissions: self.permissions,
            inherits: self.inherits,
            revision: before.map_or(1, |before| before.revision.saturating_add(1)),
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
        }
    }
}

/// The fields of an assignment as they were sent.
#[derive(Clone, Debug)]
pub(crate) struct AssignmentText {
    /// Who gets the role.
    pub(crate) subject: Subject,
    /// The role.
    pub(crate) role: String,
    /// On what only.
    pub(crate) resource: Option<ResourceRef>,
    /// Until when.
    pub(crate) expires_at: Option<Time>,
}

/// An assignment that somebody wants to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssignmentDraft {
    /// Who gets the role; that a group exists is not known yet.
    pub(crate) subject: Holder,
    /// The role; that it exists is not known yet.
    pub(crate) role: RoleName,
    /// On what only.
    pub(crate) resource: Option<Resource>,
    /// Until when.
    pub(crate) expires_at: Option<Time>,
}

impl AssignmentDraft {
    /// Reads an assignment.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub(crate) fn parse(text: AssignmentText, now: Time) -> Result<Self> {
        let mut fields = Fields::default();
        let subject =
            fields.take("/subject/type", Holder::parse(&text.subject.subject_type, &text.subject.id));
        if subject == Some(None) {
            fields.broken("/subject/id", "malformed", "Must be the id of a user or of a group.");
        }
        let role = fields.take("/role", text.role.parse::<RoleName>());
        let resource = text.resource.and_then(|resource| thing(&mut fields, resource));
        if text.expires_at.is_some_and(|end| end <= now) {
            fields.broken("/expires_at", "past", "Must be in the future.");
        }
        match (subject.flatten(), role) {
            (Some(subject), Some(role)) if fields.is_empty() => {
                Ok(Self { subject, role, resource, expires_at: text.expires_at })
            }
            _ => Err(broken(fields)),
        }
    }
}

fn broken(fields: Fields) -> contracts::Error {
    let unexplained = || contracts::Error::internal("a draft was refused without a reason");
    fields.finish().err().unwrap_or_else(unexplained)
}

fn description(fields: &mut Fields, text: Option<String>) -> Option<String> {
    let text = text?;
    if text.chars().count() > MAX_DESCRIPTION {
        fields.broken("/description", "too_long", format!("At most {MAX_DESCRIPTION} characters."));
    }
    if text.chars().any(char::is_control) {
        fields.broken("/description", "control_character", "No line breaks and other control characters.");
    }
    Some(text)
}

/// Reads a list whose entries are all different.
fn list<T>(fields: &mut Fields, pointer: &str, most: usize, texts: &[String]) -> Vec<T>
where
    T: FromStr + Clone + Eq + Hash,
    T::Err: Into<(&'static str, std::borrow::Cow<'static, str>)>,
{
    if texts.len() > most {
        fields.broken(pointer, "too_many", format!("At most {most} entries."));
        return vec![];
    }
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let pointer = format!("{pointer}/{at}");
        let Some(entry) = fields.take(&pointer, text.parse::<T>()) else { continue };
        if !seen.insert(entry.clone()) {
            fields.broken(pointer, "duplicate", "It is in the list already.");
        }
        all.push(entry);
    }
    all
}

fn thing(fields: &mut Fields, resource: ResourceRef) -> Option<Resource> {
    let kind = resource.resource_type;
    if !is_word(&kind) {
        let rule = "Must be a lower-case word of at most 63 letters, digits, _ and -.";
        fields.broken("/resource/type", "malformed", rule);
    }
    let id = fields.take("/resource/id", id(&resource.id))?;
    Some(Resource { kind, id })
}

/// A parser's error as the stable word and the sentence of a broken rule.
macro_rules! rules {
    ($($error:ty => $code:literal;)*) => {$(
        impl From<$error> for (&'static str, std::borrow::Cow<'static, str>) {
            fn from(error: $error) -> Self {
                ($code, error.to_string().into())
            }
        }
    )*};
}

rules! {
    NotAnId => "malformed";
    crate::model::holder::NotAHolder => "unsupported";
    crate::model::permission::NotAPermission => "malformed";
    crate::model::role::NotARoleName => "malformed";
}
