//! Damages done on purpose, each in a transaction that is rolled back: an audit that finds nothing proves nothing.

use super::audit;
use super::ledger::Entry;
use super::sink::Sink;
use crate::books::Books;
use crate::people::Person;

/// Does every damage and asks the audit; tells which ones were overlooked.
pub(super) fn try_all(
    books: &mut Books,
    entries: &[Entry],
    people: &[Person],
    sink: &Sink,
) -> Vec<&'static str> {
    let mut overlooked = Vec::new();
    let before = audit::tables(books, entries, people, sink).violations.len();
    for (name, damage) in damages(books, entries) {
        let module = module(&damage);
        books.with(module).run("BEGIN");
        books.with(module).run(&damage);
        let found = audit::tables(books, entries, people, sink).violations;
        books.with(module).run("ROLLBACK");
        match found.last() {
            Some(last) if found.len() > before => eprintln!("chaos: {name}: found {}: {last}", found.len()),
            _ => overlooked.push(name),
        }
    }
    let mut forked = entries.to_vec();
    if let Some(Entry::Refreshed { session, used, .. }) =
        entries.iter().find(|entry| matches!(entry, Entry::Refreshed { .. }))
    {
        let (session, used) = (session.clone(), used.clone());
        forked.push(Entry::Refreshed { session, used, next: "another one".to_owned() });
    }
    if audit::tables(books, &forked, people, sink).violations.len() <= before {
        overlooked.push("a refresh token that was exchanged twice");
    }
    overlooked
}

/// Whose database this is to be done to: the words that say what to do are followed by a table's name. What belongs to the
/// platform is in each; users have some of everything.
fn module(damage: &str) -> &str {
    let table = damage.trim_start_matches("DELETE FROM ").trim_start_matches("UPDATE ");
    match table.split_once('_') {
        Some((module, _)) if module != "platform" => module,
        _ => "users",
    }
}

fn damages(books: &Books, entries: &[Entry]) -> Vec<(&'static str, String)> {
    let id = |id: &str| books.first().either(format!("x'{}'", id.replace('-', "")), format!("'{id}'::uuid"));
    let taken_back =
        |wanted: &String| entries.iter().any(|e| matches!(e, Entry::Unassigned { id } if id == wanted));
    let first = |table: &str, filter: &str| format!("id = (SELECT id FROM {table} WHERE {filter} LIMIT 1)");
    let mut damages = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    // The last entry of each kind, so that a later one does not hide the damage.
    for entry in entries.iter().rev() {
        let damage = match entry {
            Entry::Registered { email } => {
                ("an account gone", format!("DELETE FROM auth_accounts WHERE email = '{email}'"))
            }
            Entry::Profile { user, .. } => (
                "a profile as before",
                format!("UPDATE users_profiles SET attributes = '{{}}' WHERE id = {}", id(user)),
            ),
            Entry::Preference { user, .. } => {
                ("a preference gone", format!("DELETE FROM users_preferences WHERE user_id = {}", id(user)))
            }
            Entry::Assigned { id: assignment, .. } if !taken_back(assignment) => (
                "an assignment gone",
                format!("DELETE FROM permissions_assignments WHERE id = {}", id(assignment)),
            ),
            Entry::Notified { id: message, .. } => (
                "a notification made twice",
                format!(
                    "UPDATE notifications_messages SET data = (SELECT data FROM notifications_messages WHERE id = {}) \
                     WHERE {}",
                    id(message),
                    first("notifications_messages", "template <> 'announcement'"),
                ),
            ),
            Entry::LoggedIn { session, .. } => {
                ("a session gone", format!("DELETE FROM auth_sessions WHERE id = {}", id(session)))
            }
            Entry::Revoked { session, .. } => (
                "a session alive again",
                format!(
                    "UPDATE auth_sessions SET revoked_at = NULL, revoked_reason = NULL WHERE id = {}",
                    id(session)
                ),
            ),
            _ => continue,
        };
        if seen.insert(damage.0) {
            damages.push(damage);
        }
    }
    for (name, table, filter) in [
        ("an event gone", "platform_outbox", "event_type = 'users.user.updated'"),
        ("an entry of the trail gone", "platform_audit_events", "action = 'users.preference.changed'"),
        ("a delivery of an event gone", "platform_deliveries", "event_type = 'auth.account.registered'"),
    ] {
        damages.push((name, format!("DELETE FROM {table} WHERE {}", first(table, filter))));
    }
    damages.push((
        "a message in the mailbox twice",
        "UPDATE notifications_mailbox SET recipient = (SELECT min(recipient) FROM notifications_mailbox WHERE \
         recipient LIKE 'stranger%') WHERE recipient = (SELECT max(recipient) FROM notifications_mailbox WHERE \
         recipient LIKE 'stranger%')"
            .to_owned(),
    ));
    damages.push((
        "a mail that counts as sent and never came",
        format!(
            "UPDATE notifications_deliveries SET rfc_message_id = 'nowhere' WHERE {}",
            first("notifications_deliveries", "state = 'sent' AND channel = 'email'")
        ),
    ));
    damages
}
