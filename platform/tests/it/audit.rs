//! The audit trail: what is recorded is found again, newest first, by every filter.

use std::time::Duration;

use contracts::{Actor, AuditEventId, Caller, SessionId, Time, UserId};
use platform::audit::{self, ActorType, Entry, Filter, Outcome, Record};
use platform::clock::Clock;
use platform::db::Database;
use platform::forgotten::{self, Forgetter};
use serde_json::json;
use testkit::both_engines;
use tokio_util::sync::CancellationToken;

fn at(seconds: u64) -> Time {
    Time::from_seconds(1_800_000_000).plus(Duration::from_secs(seconds))
}

fn user() -> Caller {
    Caller {
        actor: Actor::User { id: UserId::new(), session: SessionId::new() },
        client_address: Some("2001:db8::7".parse().unwrap()),
        user_agent: Some("Browser/1.0".to_owned()),
        ..Caller::module("test")
    }
}

fn entry(action: &'static str, subject: &str) -> Entry {
    Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "thing",
        subject_id: subject.to_owned(),
        before: None,
        after: None,
    }
}

async fn record(db: &Database, now: Time, caller: &Caller, entry: Entry) {
    db.transaction(async |tx| audit::record(tx, now, caller, entry).await).await.unwrap();
}

async fn list(db: &Database, filter: Filter, after: Option<(Time, AuditEventId)>, limit: u32) -> Vec<Record> {
    audit::list(&mut db.read().await.unwrap(), &filter, after, limit).await.unwrap()
}

fn subjects(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.subject_id.as_str()).collect()
}

both_engines! {
    async fn what_somebody_did_to_others_is_still_told_when_he_is_gone(db: Database) {
        let (gone, other) = (UserId::new(), UserId::new());
        let by = |id| Caller { actor: Actor::User { id, session: SessionId::new() }, ..user() };
        let about = |subject: UserId| Entry {
            before: Some(json!({ "name": "Ada" })),
            after: Some(json!({ "name": "Grace" })),
            ..entry("test.thing.changed", &subject.to_string())
        };
        record(&db, at(0), &by(gone), about(other)).await;
        record(&db, at(1), &by(other), about(gone)).await;
        record(&db, at(2), &by(other), about(other)).await;
        db.transaction(async |tx| forgotten::note(tx, gone, at(3)).await).await.unwrap();
        let forgetter = Forgetter::new(db.clone(), Clock::manual(at(3)));
        assert_eq!(forgetter.run_once(&CancellationToken::new()).await.unwrap(), 1);
        let found = list(&db, Filter::default(), None, 10).await;
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.before.is_some(), one.after.is_some(), one.client_address.is_some(), one.user_agent.is_some()))
            .collect();
        assert_eq!(told, [(true, true, true, true), (false, false, false, false), (true, true, false, false)]);
        assert_eq!(found[2].actor_id, Some(gone.to_string()));
    }

    async fn an_entry_tells_who_what_whom_when_and_from_where(db: Database) {
        let caller = user();
        let changed = Entry {
            before: Some(json!({ "name": "Ada", "email": true })),
            after: Some(json!({ "name": "Grace", "email": true })),
            outcome: Outcome::Refused,
            ..entry("test.thing.changed", "t1")
        };
        record(&db, at(0), &caller, changed).await;
        let found = list(&db, Filter::default(), None, 10).await;
        let [found] = found.as_slice() else { panic!("{found:?}") };
        let Actor::User { id, session } = caller.actor else { unreachable!() };
        let expected = Record {
            id: found.id,
            at: at(0),
            action: "test.thing.changed".to_owned(),
            outcome: Outcome::Refused,
            actor_type: ActorType::User,
            actor_id: Some(id.to_string()),
            session: Some(session),
            request_id: caller.request_id.clone(),
            client_address: Some("2001:db8::7".to_owned()),
            user_agent: Some("Browser/1.0".to_owned()),
            subject_type: "thing".to_owned(),
            subject_id: "t1".to_owned(),
            before: Some(json!({ "name": "Ada", "email": true })),
            after: Some(json!({ "name": "Grace", "email": true })),
        };
        assert_eq!(*found, expected);
    }

    async fn nobody_and_modules_are_actors_too(db: Database) {
        let nobody = Caller { actor: Actor::Anonymous, ..Caller::module("test") };
        record(&db, at(0), &nobody, entry("test.a", "t1")).await;
        record(&db, at(1), &Caller::module("notifications"), entry("test.a", "t2")).await;
        let found = list(&db, Filter::default(), None, 10).await;
        let actors: Vec<_> = found.iter().map(|record| (record.actor_type, record.actor_id.as_deref())).collect();
        assert_eq!(actors, [(ActorType::Module, Some("notifications")), (ActorType::Anonymous, None)]);
    }

    async fn the_newest_come_first_and_no_page_skips_or_repeats(db: Database) {
        let caller = Caller::module("test");
        // Several in one instant: the page ends between them.
        for (second, subject) in [(0, "a"), (1, "b"), (1, "c"), (1, "d"), (2, "e")] {
            record(&db, at(second), &caller, entry("test.a", subject)).await;
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(&db, Filter::default(), after, 2).await;
            let Some(last) = page.last() else { break };
            after = Some((last.at, last.id));
            seen.extend(page);
        }
        assert_eq!(subjects(&seen), ["e", "d", "c", "b", "a"]);
    }

    async fn every_filter_narrows(db: Database) {
        let (ada, grace) = (user(), user());
        record(&db, at(0), &ada, entry("test.a", "t1")).await;
        record(&db, at(1), &ada, entry("test.b", "t2")).await;
        record(&db, at(2), &grace, entry("test.a", "t2")).await;
        let narrowed = async |filter| subjects(&list(&db, filter, None, 10).await).join(" ");
        let none = Filter::default;
        let by_ada = Some(ada.user().unwrap().to_string());
        assert_eq!(narrowed(Filter { actor_id: by_ada, ..none() }).await, "t2 t1");
        assert_eq!(narrowed(Filter { action: Some("test.a".to_owned()), ..none() }).await, "t2 t1");
        assert_eq!(narrowed(Filter { action: Some("test.b".to_owned()), ..none() }).await, "t2");
        assert_eq!(narrowed(Filter { subject_id: Some("t2".to_owned()), ..none() }).await, "t2 t2");
        assert_eq!(narrowed(Filter { subject_id: Some("t1".to_owned()), ..none() }).await, "t1");
        assert_eq!(narrowed(Filter { from: Some(at(1)), ..none() }).await, "t2 t2");
        assert_eq!(narrowed(Filter { to: Some(at(1)), ..none() }).await, "t1");
    }

    async fn what_is_too_old_is_forgotten_and_nothing_else(db: Database) {
        let caller = Caller::module("test");
        for (second, subject) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
            record(&db, at(second), &caller, entry("test.a", subject)).await;
        }
        let sweep = async || db.transaction(async |tx| audit::sweep(tx, at(2)).await).await.unwrap();
        assert_eq!((sweep().await, sweep().await), (2, 0));
        assert_eq!(subjects(&list(&db, Filter::default(), None, 10).await), ["d", "c"]);
    }
}
