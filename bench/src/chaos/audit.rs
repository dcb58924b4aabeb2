//! After the last kill: is everything that was acknowledged there, once, with its event and its entry in the trail?

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ledger::Entry;
use super::sink::Sink;
use crate::Engine;
use crate::books::Books;
use crate::people::Person;
use crate::sql::{Sql, has_table};

/// What was found wrong, and what was counted.
#[derive(Debug, Default)]
pub(super) struct Audited {
    pub(super) violations: Vec<String>,
    pub(super) counted: Counted,
}

#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) events: i64,
    pub(super) mailbox: usize,
    pub(super) mailbox_doubled: usize,
    pub(super) mails: usize,
    pub(super) mails_doubled: usize,
}

/// Entries of the audit trail and an event that commit together: there are as many of one as of the other.
const PAIRS: [(&str, &str); 7] = [
    ("'auth.account.registered', 'auth.administrator.appointed'", "auth.account.registered"),
    ("'auth.login.succeeded'", "auth.session.created"),
    ("'auth.session.revoked', 'auth.refresh.reused'", "auth.session.revoked"),
    ("'users.user.updated'", "users.user.updated"),
    ("'users.preference.changed'", "users.preference.changed"),
    ("'permissions.assignment.created'", "permissions.assignment.created"),
    ("'permissions.assignment.deleted'", "permissions.assignment.deleted"),
];

/// Waits until every event is delivered, also those that wait at a broker, and every message is sent.
pub(super) fn wait_settled(books: &mut Books) -> Result<(), String> {
    let (begun, mut told) = (Instant::now(), 10);
    loop {
        let open = [
            books.number("count(*)", "FROM platform_outbox WHERE status = 'pending'"),
            books.number("count(*)", "FROM platform_deliveries WHERE status = 'pending'"),
            books.number("count(*)", "FROM notifications_deliveries WHERE state IN ('queued', 'sending')"),
        ];
        let nothing = open.iter().all(|count| *count == 0);
        if nothing && delivered(books, &mut Counted::default()).is_empty() {
            return Ok(());
        }
        if begun.elapsed().as_secs() >= told {
            told += 10;
            eprintln!("chaos: still under way: {open:?} events, deliveries, messages");
        }
        if nothing && begun.elapsed() > Duration::from_secs(60) {
            // The audit tells what did not come.
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(600) {
            return Err(format!(
                "after ten minutes {open:?} events, deliveries, messages are still under way"
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Compares the tables with the ledger. Changes nothing, so it can be asked again.
pub(super) fn tables(books: &mut Books, entries: &[Entry], people: &[Person], sink: &Sink) -> Audited {
    let mut audited = Audited::default();
    let tables = Tables::read(books);
    for entry in entries {
        audited.violations.extend(tables.wrong_with(entry).map(|what| format!("{what}: {entry:?}")));
    }
    audited.violations.extend(doubled_effects(&tables, entries));
    audited.violations.extend(trail(books, entries, people));
    audited.violations.extend(half_written(books));
    audited.violations.extend(delivered(books, &mut audited.counted));
    mail(books, &tables, sink, &mut audited);
    audited
}

struct Tables {
    accounts: BTreeSet<String>,
    profiles: BTreeMap<String, u64>,
    preferences: BTreeMap<(String, String), u64>,
    /// The resource of each assignment.
    assignments: BTreeMap<String, String>,
    /// The subject of each notification.
    notifications: BTreeMap<String, String>,
    /// Whether a session was ended.
    sessions: BTreeMap<String, bool>,
    /// How many messages each address got.
    mailbox: BTreeMap<String, usize>,
}

fn number(value: &Value) -> u64 {
    value["number"].as_u64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Tables {
    fn read(books: &mut Books) -> Self {
        let id = books.first().id("id");
        let (user_id, resource) = (books.first().id("user_id"), "coalesce(resource_id, '')");
        let json = |column: &str| books.first().either(format!("json({column})"), column.to_owned());
        let (attributes, value, data) = (json("attributes"), json("value"), json("data"));
        let accounts = books.texts("email", "FROM auth_accounts").into_iter().collect();
        let profiles = books.rows(&format!("{id}, {attributes}"), "FROM users_profiles");
        let preferences = books.rows(&format!("{user_id}, namespace, {value}"), "FROM users_preferences");
        let assignments = books.rows(&format!("{id}, {resource}"), "FROM permissions_assignments");
        let notifications = books.rows(&format!("{id}, {data}"), "FROM notifications_messages");
        let sessions = books.rows(&format!("{id}, revoked_reason"), "FROM auth_sessions");
        let mailbox = books.rows("recipient, count(*)", "FROM notifications_mailbox GROUP BY recipient");
        Self {
            accounts,
            profiles: profiles.iter().map(|row| (text(&row[0]), number(&row[1]))).collect(),
            preferences: preferences
                .iter()
                .map(|row| ((text(&row[0]), text(&row[1])), number(&row[2])))
                .collect(),
            assignments: assignments.iter().map(|row| (text(&row[0]), text(&row[1]))).collect(),
            notifications: notifications
                .iter()
                .map(|row| (text(&row[0]), text(&row[1]["subject"])))
                .collect(),
            sessions: sessions.iter().map(|row| (text(&row[0]), !row[1].is_null())).collect(),
            mailbox: mailbox
                .iter()
                .map(|row| (text(&row[0]), row[1].as_u64().unwrap_or(0) as usize))
                .collect(),
        }
    }

    fn wrong_with(&self, entry: &Entry) -> Option<&'static str> {
        let (right, what) = match entry {
            Entry::Registered { email } if self.accounts.contains(email) => {
                (self.mailbox.get(email) == Some(&1), "not exactly one message")
            }
            Entry::Registered { .. } => (false, "the account is missing"),
            Entry::Profile { user, number } => {
                (self.profiles.get(user) >= Some(number), "the profile is older")
            }
            Entry::Preference { user, namespace, number } => {
                let found = self.preferences.get(&(user.clone(), namespace.clone()));
                (found >= Some(number), "the preference is older")
            }
            // Those that were taken back are looked at with the entry that says so.
            Entry::Assigned { .. } => (true, ""),
            Entry::Unassigned { id } => (!self.assignments.contains_key(id), "the assignment is still there"),
            Entry::Notified { id, number, .. } => {
                let wanted = format!("Number {number}");
                (self.notifications.get(id) == Some(&wanted), "the notification is missing")
            }
            Entry::LoggedIn { session, .. } => {
                (self.sessions.contains_key(session), "the session is missing")
            }
            Entry::Revoked { session, .. } => {
                (self.sessions.get(session) == Some(&true), "the session is alive again")
            }
            Entry::Refreshed { .. } => (true, ""),
        };
        (!right).then_some(what)
    }
}

/// What must have happened exactly once for each key, and each refresh token.
fn doubled_effects(tables: &Tables, entries: &[Entry]) -> Vec<String> {
    let mut wrong = Vec::new();
    let taken_back: BTreeSet<&String> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Unassigned { id } => Some(id),
            _ => None,
        })
        .collect();
    let mut subjects: BTreeMap<&String, usize> = BTreeMap::new();
    for subject in tables.notifications.values() {
        *subjects.entry(subject).or_default() += 1;
    }
    let mut successors: BTreeMap<&String, &String> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Assigned { id, number, .. } if !taken_back.contains(id) => {
                let found: Vec<_> =
                    tables.assignments.iter().filter(|(_, on)| **on == number.to_string()).collect();
                if found.len() != 1 || found[0].0 != id {
                    wrong.push(format!("{} assignments where one was acknowledged: {entry:?}", found.len()));
                }
            }
            Entry::Notified { number, .. } => {
                let count = subjects.get(&format!("Number {number}")).copied().unwrap_or(0);
                if count != 1 {
                    wrong.push(format!("{count} notifications where one was acknowledged: {entry:?}"));
                }
            }
            Entry::Refreshed { used, next, .. }
                if successors.insert(used, next).is_some_and(|other| other != next) =>
            {
                wrong.push(format!("a refresh token was exchanged for two different ones: {entry:?}"));
            }
            _ => {}
        }
    }
    wrong
}

/// Every acknowledged change stands in the audit trail, also those that others have overwritten since.
fn trail(books: &mut Books, entries: &[Entry], people: &[Person]) -> Vec<String> {
    let mut wrong = Vec::new();
    for person in people {
        let of = |wanted: fn(&Entry) -> Option<&String>| {
            entries.iter().filter(|entry| wanted(entry) == Some(&person.id)).count()
        };
        let profiles = of(|entry| match entry {
            Entry::Profile { user, .. } => Some(user),
            _ => None,
        });
        let preferences = of(|entry| match entry {
            Entry::Preference { user, .. } => Some(user),
            _ => None,
        });
        for (action, acknowledged) in
            [("users.user.updated", profiles), ("users.preference.changed", preferences)]
        {
            let rest = format!(
                "FROM platform_audit_events WHERE action = '{action}' AND subject_id LIKE '{}%'",
                person.id
            );
            let found = books.number("count(*)", &rest) as usize;
            if found < acknowledged {
                wrong.push(format!(
                    "{acknowledged} changes acknowledged and {found} in the trail: {action} of {}",
                    person.id
                ));
            }
        }
    }
    wrong
}

/// A state without its event, an event without its entry in the trail, a person without a profile.
fn half_written(books: &mut Books) -> Vec<String> {
    let mut wrong = Vec::new();
    for (actions, event) in PAIRS {
        let told =
            books.number("count(*)", &format!("FROM platform_audit_events WHERE action IN ({actions})"));
        let rest = format!("FROM platform_outbox WHERE event_type = '{event}'");
        let published = books.number("count(*)", &rest);
        if published != told {
            wrong.push(format!("half-written: {told} × {actions} in the trail, {published} events {event}"));
        }
    }
    let id = books.first().id("id");
    let profiles: BTreeSet<String> = books.texts(&id, "FROM users_profiles").into_iter().collect();
    let accounts = books.texts(&id, "FROM auth_accounts");
    let without = accounts.iter().filter(|account| !profiles.contains(*account)).count();
    if without > 0 {
        wrong.push(format!("half-written: {without} accounts without a profile"));
    }
    let rest = "FROM auth_sessions WHERE id NOT IN (SELECT session_id FROM auth_refresh_tokens)";
    let bare = books.number("count(*)", rest);
    if bare > 0 {
        wrong.push(format!("half-written: {bare} sessions without a refresh token"));
    }
    let accounts = books.number("count(*)", "FROM auth_accounts");
    let events =
        books.number("count(*)", "FROM platform_outbox WHERE event_type = 'auth.account.registered'");
    if accounts != events {
        wrong.push(format!("half-written: {accounts} accounts and {events} events that tell of them"));
    }
    wrong
}

/// Every event went to every subscriber of its type, and none is parked.
fn delivered(books: &mut Books, counted: &mut Counted) -> Vec<String> {
    let (mut wrong, mut events) = (Vec::new(), BTreeMap::<String, i64>::new());
    for row in books.rows("event_type, count(*)", "FROM platform_outbox GROUP BY event_type") {
        *events.entry(text(&row[0])).or_default() += row[1].as_i64().unwrap_or(0);
    }
    counted.events = events.values().sum();
    let mut deliveries = BTreeMap::<(String, String), i64>::new();
    let rest = "FROM platform_deliveries WHERE status = 'done' GROUP BY event_type, subscriber";
    for row in books.rows("event_type, subscriber, count(*)", rest) {
        *deliveries.entry((text(&row[0]), text(&row[1]))).or_default() += row[2].as_i64().unwrap_or(0);
    }
    for ((event, subscriber), found) in deliveries {
        let count = events.get(&event).copied().unwrap_or(0);
        if found != count {
            wrong.push(format!("{count} events {event}, but {found} deliveries to {subscriber}"));
        }
    }
    let parked = books.number("count(*)", "FROM platform_deliveries WHERE status = 'parked'");
    if parked > 0 {
        wrong.push(format!("{parked} deliveries of events are parked"));
    }
    wrong
}

/// Every message came; how many came twice is counted, because mail promises no more.
fn mail(books: &mut Books, tables: &Tables, sink: &Sink, audited: &mut Audited) {
    let strangers = tables.mailbox.iter().filter(|(address, _)| address.starts_with("stranger"));
    audited.counted.mailbox = tables.mailbox.values().sum();
    audited.counted.mailbox_doubled = strangers.filter(|(_, count)| **count > 1).count();
    if has_table(books.with("notifications"), "notifications_inbox") {
        let items = books.number("count(*)", "FROM notifications_inbox");
        let messages = books.number("count(DISTINCT message_id)", "FROM notifications_inbox");
        if items != messages {
            audited.violations.push(format!("{items} things in inboxes for {messages} messages"));
        }
    }
    let taken = sink.taken();
    audited.counted.mails = taken.values().sum();
    audited.counted.mails_doubled = taken.values().map(|count| count - 1).sum();
    let sent = books.rows("rfc_message_id, state", "FROM notifications_deliveries WHERE channel = 'email'");
    for row in &sent {
        let id = text(&row[0]);
        let came = taken.keys().any(|taken| taken == id.trim_matches(['<', '>']));
        if row[1] != "sent" && row[1] != "delivered" {
            audited.violations.push(format!("the message {id} was never sent: {}", row[1]));
        } else if !came {
            audited.violations.push(format!("the message {id} counts as sent and never came"));
        }
    }
}

/// What the databases say about themselves.
pub(super) fn integrity(books: &mut Books) -> Vec<String> {
    books.each().flat_map(integrity_of).collect()
}

fn integrity_of(sql: &mut Sql) -> Vec<String> {
    match sql.engine() {
        Engine::Sqlite => {
            let mut found = sql.texts("integrity_check", "FROM pragma_integrity_check");
            found.retain(|line| line != "ok");
            found.extend(sql.texts("\"table\"", "FROM pragma_foreign_key_check"));
            found
        }
        Engine::Postgres => {
            if sql.try_run("CREATE EXTENSION IF NOT EXISTS amcheck").is_err() {
                eprintln!("chaos: amcheck is not installed, so the indexes of PostgreSQL are not checked");
                return Vec::new();
            }
            let check = "DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT c.oid::regclass FROM pg_class c \
                         JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relkind = 'i' \
                         AND c.relnamespace = 'public'::regnamespace \
                         LOOP PERFORM bt_index_check(i, true); END LOOP; END $$";
            sql.try_run(check).err().into_iter().collect()
        }
    }
}
