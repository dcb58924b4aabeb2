//! `GET /api/v1/users/me/export`: everything that Doorward knows about whoever asks (GDPR articles 15 and 20). Each module
//! tells its part; they are put together here, where all of them are known, with what the audit trail says.
//!
//! Left out: secrets and their hashes, and of what others did to the person who they are and where they were.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use contracts::auth::Auth;
use contracts::notifications::Notifications;
use contracts::permissions::Permissions;
use contracts::trail::{ListEntries, TrailEntry};
use contracts::users::Users;
use contracts::{Caller, Error, ExportPerson, Time, UserId};
use platform::audit::{self, Entry, Outcome};
use platform::clock::Clock;
use platform::db::{Database, DbConn};
use platform::http::{Problem, User, UserProblems};
use platform::limits::{self, Bucket, Limit};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::audit::WholeTrail;

/// The shape of the document; rises when something in it is renamed or taken away.
const VERSION: u32 = 1;

/// How often one person may take a copy.
const OFTEN: Limit = Limit { capacity: 5, window: Duration::from_secs(3600) };

/// Entries of the audit trail that a copy holds at most: the newest.
const ENTRIES: u32 = 10_000;

/// Who is asked for a copy.
pub(crate) struct Exporter {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) trail: Arc<WholeTrail>,
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) permissions: Arc<dyn Permissions>,
    pub(crate) notifications: Arc<dyn Notifications>,
}

/// Everything that is known about somebody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonExport)]
pub(crate) struct PersonView {
    /// The shape of this document.
    version: u32,
    generated_at: Time,
    /// About whom.
    user_id: UserId,
    /// What each part knows, by name, such as `account`, `sessions`, `profile`, `preferences`, `role_assignments`,
    /// `notifications` and `audit_events`.
    #[schema(value_type = Object)]
    sections: Map<String, Value>,
}

/// Everything that is known about oneself
///
/// One document for every part of Doorward, machine-readable, without secrets; five times an hour. For anybody who is
/// logged in.
#[utoipa::path(
    tag = "users",
    responses(
        (status = 200, description = "The document, as a file.", body = PersonView,
            headers(("Content-Disposition" = String, description = "Names the file."))),
        UserProblems,
    )
)]
#[get("/api/v1/users/me/export")]
pub(crate) async fn export_me(user: User, exporter: Data<Exporter>) -> Result<HttpResponse, Problem> {
    let person = exporter.person(&user.caller, user.id).await?;
    let named = (header::CONTENT_DISPOSITION, "attachment; filename=\"doorward-export.json\"");
    Ok(HttpResponse::Ok().insert_header(named).json(person))
}

impl Exporter {
    async fn person(&self, caller: &Caller, user: UserId) -> Result<PersonView, Error> {
        let now = self.clock.now();
        let bucket = Bucket::of("users.export", &[user.uuid().as_bytes()]);
        let take = async |tx: &mut DbConn| limits::take(tx, now, &bucket, OFTEN).await;
        let verdict: Result<_, platform::db::Error> = self.db.transaction(take).await;
        let verdict = verdict?;
        if !verdict.allowed {
            let text = "You took enough copies for now; try again later.";
            return Err(Error::limited("users.export_limited", text).retry_after(verdict.retry_after_secs));
        }
        let ask = ExportPerson { user };
        let parts = [
            self.auth.export_person(caller, ask).await?,
            self.users.export_person(caller, ask).await?,
            self.permissions.export_person(caller, ask).await?,
            self.notifications.export_person(caller, ask).await?,
        ];
        let mut sections: Map<String, Value> = parts.into_iter().flat_map(|part| part.sections).collect();
        let (entries, cut) = self.entries(caller, user).await?;
        sections.insert("audit_events".to_owned(), json!({ "items": entries, "older_left_out": cut }));
        self.write_down(caller, user, now).await?;
        Ok(PersonView { version: VERSION, generated_at: now, user_id: user, sections })
    }

    /// What was done to or by a person, the newest first, and whether there is more.
    async fn entries(&self, caller: &Caller, user: UserId) -> Result<(Vec<Value>, bool), Error> {
        let own = user.to_string();
        let newest = ListEntries { limit: ENTRIES, ..ListEntries::default() };
        let about = ListEntries { subject_id: Some(own.clone()), ..newest.clone() };
        let by = ListEntries { actor_id: Some(own.clone()), ..newest };
        let mut all = self.trail.list(caller, &about).await?;
        all.extend(self.trail.list(caller, &by).await?);
        all.sort_unstable_by_key(|entry| std::cmp::Reverse((entry.at, entry.id)));
        all.dedup_by_key(|entry| entry.id);
        let cut = all.len() > ENTRIES as usize;
        all.truncate(ENTRIES as usize);
        Ok((all.iter().map(|entry| told(entry, &own)).collect(), cut))
    }

    async fn write_down(&self, caller: &Caller, user: UserId, now: Time) -> Result<(), Error> {
        let entry = Entry {
            action: "users.person.exported",
            outcome: Outcome::Succeeded,
            subject_type: "user",
            subject_id: user.to_string(),
            before: None,
            after: None,
        };
        let record = async |tx: &mut DbConn| audit::record(tx, now, caller, entry).await;
        Ok(self.db.transaction(record).await?)
    }
}

/// An entry as the person may see it: where others are concerned, without who and where they were, and of what was done
/// to others, only what it was.
fn told(entry: &TrailEntry, own: &str) -> Value {
    let mine = entry.actor_id.as_deref() == Some(own);
    let about_me = entry.subject_id == own;
    let actor = if mine { "you" } else { &entry.actor_type };
    let told = [
        ("at", json!(entry.at)),
        ("action", json!(entry.action)),
        ("outcome", json!(entry.outcome)),
        ("actor", json!(actor)),
        ("subject_type", json!(entry.subject_type)),
    ];
    let place = [("ip", json!(entry.client_address)), ("user_agent", json!(entry.user_agent))];
    let change = [("before", json!(entry.before)), ("after", json!(entry.after))];
    let place = place.into_iter().filter(|_| mine);
    let change = change.into_iter().filter(|_| about_me);
    let told = told.into_iter().chain(place).chain(change);
    Value::Object(told.map(|(name, value)| (name.to_owned(), value)).collect())
}
