//! Delivering: tried again, given up, never lost, never holding up others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use async_trait::async_trait;
use contracts::auth::{RefreshReused, RegistrationRepeated, VerificationRequested};
use contracts::notifications::MessageFailed;
use contracts::users::Profile;
use contracts::{Caller, Event, Fact, OneTimeRequestId, UserId};
use notifications::{Channel, Failure, Letter, Reason, Service, Settings, subscribers};
use platform::db::Database;
use serde_json::Value;
use testkit::both_engines;
use testkit::mail_trap::{MailTrap, Manner};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::store::told;
use crate::world::{Hand, World, announce, deliver_all, while_working};

const HOUR: Duration = Duration::from_secs(3_600);

both_engines! {
    async fn a_server_that_refuses_twice_gets_it_once(db: Database) {
        let trap = MailTrap::start().await;
        trap.next([Manner::PutOff, Manner::PutOff]);
        let world = World::mailing(db, &trap);
        let service = world.service();
        let id = announce(&service, "mia@example.org", "News").await;

        deliver_all(&service).await;
        assert_eq!(world.tries(&service, id).await, ("queued".to_owned(), vec!["temporary".to_owned()]));
        assert_eq!(service.deliver_due().await.unwrap(), 0, "it waits before it tries again");
        for _ in 0..2 {
            world.clock.advance(HOUR);
            deliver_all(&service).await;
        }
        let outcomes = ["temporary", "temporary", "sent"].map(str::to_owned).to_vec();
        assert_eq!(world.tries(&service, id).await, ("sent".to_owned(), outcomes));
        let mails = trap.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!((mails[0].from.as_str(), mails[0].to.as_slice()), ("mail@doorward.example", &["mia@example.org".to_owned()][..]));
        world.clock.advance(HOUR);
        assert_eq!(service.deliver_due().await.unwrap(), 0, "what is sent stays sent");
    }

    async fn what_is_refused_for_good_is_parked_at_once_and_told_without_the_address(db: Database) {
        let trap = MailTrap::start().await;
        trap.next([Manner::Refuse]);
        let world = World::mailing(db, &trap);
        let service = world.service();
        let id = announce(&service, "nobody@example.org", "News").await;
        deliver_all(&service).await;

        let answer = world.ask(&service, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
        assert_eq!(answer.body["state"], "failed");
        let delivery = &answer.body["deliveries"][0];
        assert_eq!(delivery["state"], "parked");
        assert_eq!(delivery["last_error"], "The mail server refused it: 550 5.1.1.");
        assert_eq!(delivery["attempts"][0]["outcome"], "permanent");
        assert!(!delivery.to_string().contains("nobody"), "{delivery}");
        assert_eq!(trap.mails().len(), 0);
    }

    async fn a_login_the_server_refuses_is_no_fault_of_the_message(db: Database) {
        let trap = MailTrap::start().await;
        trap.next([Manner::WantLogin]);
        let world = World::mailing(db, &trap);
        let service = world.service();
        let id = announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        assert_eq!(world.tries(&service, id).await, ("queued".to_owned(), vec!["temporary".to_owned()]));
    }

    async fn a_message_is_given_up_after_the_last_try_and_can_be_tried_again(db: Database) {
        let mut world = World::new(db);
        world.settings.max_attempts = 3;
        let broken = Arc::new(AtomicUsize::new(3));
        let left = Arc::clone(&broken);
        let hand = Hand::new(move |_| {
            let still = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if still { Err(Failure::temporary(Reason::ProviderUnavailable, "not now")) } else { Ok(()) }
        });
        let service = world.service_with(hand.clone());
        let id = announce(&service, "mia@example.org", "News").await;
        let retry = format!("/api/v1/notifications/{id}/retry");
        assert_eq!(world.ask(&service, Method::POST, &retry, None).await.status, StatusCode::CONFLICT);
        for _ in 0..5 {
            deliver_all(&service).await;
            world.clock.advance(HOUR);
        }
        let (state, tries) = world.tries(&service, id).await;
        assert_eq!((state.as_str(), tries.len()), ("failed", 3));

        let answer = world.ask(&service, Method::POST, &retry, None).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        assert_eq!(answer.body["id"], id.to_string());
        assert_eq!(world.ask(&service, Method::POST, &retry, None).await.code(), "notifications.not_failed");
        deliver_all(&service).await;
        let (state, tries) = world.tries(&service, id).await;
        assert_eq!((state.as_str(), tries.last().map(String::as_str), tries.len()), ("sent", Some("sent"), 4));
        assert_eq!(hand.taken().len(), 1);
    }

    async fn four_workers_send_two_hundred_messages_once_each(db: Database) {
        let world = World::new(db);
        let hand = Hand::new(|_| Ok(()));
        let services: Vec<Arc<Service>> = (0..4).map(|_| world.service_with(hand.clone())).collect();
        for number in 0..200 {
            announce(&services[number % 4], &format!("p{number}@example.org"), "News").await;
        }
        while_working(&services, async {
            while hand.taken().len() < 200 || world.sent(&services[0]).await < 200 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut per_person: HashMap<String, usize> = HashMap::new();
        for mail in world.mails(&services[0]).await {
            *per_person.entry(mail["to"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(per_person.len(), 200);
        assert!(per_person.values().all(|count| *count == 1));
        assert_eq!(hand.taken().len(), 200, "no message left twice");
    }

    async fn a_poison_message_does_not_hold_up_others(db: Database) {
        let mut world = World::new(db);
        world.settings = Settings { concurrency: 2, max_attempts: 2, retry_base_ms: 1, retry_max_ms: 1, ..world.settings };
        let hand = Hand::new(|letter| match letter.subject.as_str() {
            "panic" => panic!("this message breaks the sender"),
            "refuse" => Err(Failure::permanent(Reason::ProviderRefused, "refused")),
            _ => Ok(()),
        });
        let service = world.service_with(hand.clone());
        let poison = announce(&service, "a@example.org", "panic").await;
        let refused = announce(&service, "b@example.org", "refuse").await;
        for number in 0..20 {
            announce(&service, &format!("p{number}@example.org"), "good").await;
        }
        while_working(&[Arc::clone(&service)], async {
            while hand.taken().len() < 20 {
                tokio::task::yield_now().await;
            }
            while world.tries(&service, poison).await.0 != "failed" {
                world.clock.advance(Duration::from_millis(5));
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(world.tries(&service, poison).await.1, ["temporary", "temporary"]);
        assert_eq!(world.tries(&service, refused).await, ("failed".to_owned(), vec!["permanent".to_owned()]));
    }

    async fn a_message_that_hangs_is_cut_off_and_tried_again(db: Database) {
        let trap = MailTrap::start().await;
        trap.next([Manner::Hang]);
        let mut world = World::mailing(db, &trap);
        world.settings.send_timeout_ms = 200;
        let service = world.service();
        let id = announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        assert_eq!(world.tries(&service, id).await, ("queued".to_owned(), vec!["temporary".to_owned()]));
        world.clock.advance(HOUR);
        deliver_all(&service).await;
        assert_eq!(world.tries(&service, id).await.0, "sent");
        assert_eq!(trap.mails().len(), 1);
    }

    async fn a_crash_between_sending_and_writing_down_sends_again_with_the_same_message_id(db: Database) {
        let trap = MailTrap::start().await;
        let world = World::mailing(db, &trap);
        let sent = Arc::new(Notify::new());
        let service = world.service_with(Stuck { inner: Hand::new(|_| Ok(())), sent: Arc::clone(&sent) });
        let id = announce(&service, "mia@example.org", "News").await;
        tokio::select! {
            _ = service.deliver_due() => panic!("it ended although it is stuck"),
            () = sent.notified() => {}
        }
        let restarted = world.service();
        assert_eq!(restarted.deliver_due().await.unwrap(), 0, "the lease still holds");
        world.clock.advance(HOUR);
        deliver_all(&restarted).await;
        let outcomes = ["interrupted", "sent"].map(str::to_owned).to_vec();
        assert_eq!(world.tries(&restarted, id).await, ("sent".to_owned(), outcomes));
        let answer = world.ask(&restarted, Method::GET, &format!("/api/v1/notifications/{id}"), None).await;
        let message_id = answer.body["deliveries"][0]["message_id"].as_str().unwrap();
        assert!(message_id.ends_with("@id.example.org"), "{message_id}");
        let mails = trap.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].header("Message-ID"), Some(format!("<{message_id}>").as_str()));
    }

    async fn what_a_killed_process_was_sending_can_be_taken_over_at_once(db: Database) {
        let world = World::new(db);
        let sent = Arc::new(Notify::new());
        let service = world.service_with(Stuck { inner: Hand::new(|_| Ok(())), sent: Arc::clone(&sent) });
        let id = announce(&service, "mia@example.org", "News").await;
        tokio::select! {
            _ = service.deliver_due() => panic!("it ended although it is stuck"),
            () = sent.notified() => {}
        }
        let restarted = world.service_with(Hand::new(|_| Ok(())));
        assert_eq!(restarted.deliver_due().await.unwrap(), 0, "the lease still holds");
        assert_eq!((restarted.take_over().await.unwrap(), restarted.take_over().await.unwrap()), (1, 0));
        deliver_all(&restarted).await;
        let outcomes = ["interrupted", "sent"].map(str::to_owned).to_vec();
        assert_eq!(world.tries(&restarted, id).await, ("sent".to_owned(), outcomes));
    }

    async fn an_answer_that_gets_lost_sends_again_with_the_same_message_id(db: Database) {
        let trap = MailTrap::start().await;
        trap.next([Manner::TakeAndDrop]);
        let world = World::mailing(db, &trap);
        let service = world.service();
        announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        world.clock.advance(HOUR);
        deliver_all(&service).await;
        let mails = trap.mails();
        assert_eq!(mails.len(), 2, "mail is at least once");
        assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    }

    async fn a_message_that_kills_its_process_every_time_is_parked(db: Database) {
        let mut world = World::new(db);
        world.settings.max_attempts = 2;
        let sent = Arc::new(Notify::new());
        let stuck = world.service_with(Stuck { inner: Hand::new(|_| Ok(())), sent: Arc::clone(&sent) });
        let id = announce(&stuck, "mia@example.org", "News").await;
        for _ in 0..2 {
            tokio::select! {
                _ = stuck.deliver_due() => panic!("it ended although it is stuck"),
                () = sent.notified() => {}
            }
            world.clock.advance(HOUR);
        }
        deliver_all(&stuck).await;
        let outcomes = ["interrupted", "interrupted", "permanent"].map(str::to_owned).to_vec();
        assert_eq!(world.tries(&stuck, id).await, ("failed".to_owned(), outcomes));
    }

    async fn a_worker_that_lost_its_lease_can_only_say_that_it_was_sent(db: Database) {
        let world = World::new(db);
        for late_success in [true, false] {
            let gate = Arc::new(Semaphore::new(0));
            let slow = world.service_with(Slow { open: Arc::clone(&gate), succeed: late_success });
            let id = announce(&slow, "mia@example.org", "News").await;
            let other = world.service_with(Hand::new(|_| Err(Failure::temporary(Reason::ProviderUnavailable, "not now"))));
            let first = slow.deliver_due();
            let second = async {
                while world.tries(&other, id).await.1.is_empty() {
                    tokio::task::yield_now().await;
                }
                world.clock.advance(HOUR);
                // The slow one may just be writing to the row, which is then passed over.
                while other.deliver_due().await.unwrap() == 0 {
                    tokio::task::yield_now().await;
                }
                gate.add_permits(1);
            };
            let (first, ()) = tokio::join!(first, second);
            assert_eq!(first.unwrap(), 1);
            let state = if late_success { "sent" } else { "queued" };
            assert_eq!(world.tries(&other, id).await.0, state);
            let c = &mut *world.db.read().await.unwrap();
            assert_eq!(told(c, MessageFailed::TYPE).await, 0, "nobody gave it up");
            world.clock.advance(HOUR);
            let due = world.service().deliver_due().await.unwrap();
            assert_eq!(due, usize::from(!late_success));
        }
    }

    async fn events_become_messages_in_the_language_of_the_person_once(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let account = world.auth.add_account("mia@example.org");
        world.users.set_profile(profile(account.id, Some("Mia <b>B.</b> http://evil.example"), Some("de-AT")));
        let request = world.auth.open_request();
        let events = [
            event(&VerificationRequested { user: account.id, request, locale: Some("en".to_owned()) }),
            event(&RegistrationRepeated { user: account.id }),
            event(&RefreshReused { user: account.id, session: contracts::SessionId::new() }),
        ];
        let subscriber = &subscribers(&service)[0];
        for event in events.iter().chain(&events) {
            subscriber.hear(event).await.unwrap();
        }
        deliver_all(&service).await;
        let mails = world.mails(&service).await;
        let subjects: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
        assert_eq!(subjects.len(), 3, "{subjects:?}");
        for subject in ["Bestätigen Sie Ihre E-Mail-Adresse", "Sie haben bereits ein Konto", "Wir haben eine Ihrer Sitzungen beendet"] {
            assert!(subjects.contains(&subject), "{subjects:?}");
        }
        let link = mails.iter().find_map(|mail| mail["links"][0].as_str()).unwrap();
        assert!(link.contains("#token="), "{link}");
        for mail in &mails {
            assert_eq!(mail["to"], "mia@example.org");
            assert!(mail["html"].as_str().unwrap().contains("Guten Tag Mia &lt;b&gt;B.&lt;/b&gt;,"), "{}", mail["html"]);
            assert!(!mail.to_string().contains("evil.example"), "{mail}");
        }
    }

    async fn without_a_profile_the_language_of_the_registration_is_used(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let account = world.auth.add_account("mia@example.org");
        let request = world.auth.open_request();
        let fact = VerificationRequested { user: account.id, request, locale: Some("de".to_owned()) };
        subscribers(&service)[0].hear(&event(&fact)).await.unwrap();
        deliver_all(&service).await;
        assert_eq!(world.mails(&service).await[0]["subject"], "Bestätigen Sie Ihre E-Mail-Adresse");
    }

    async fn a_link_that_was_used_meanwhile_is_not_sent(db: Database) {
        let world = World::new(db);
        let service = world.service();
        let account = world.auth.add_account("mia@example.org");
        let request = world.auth.open_request();
        let never = OneTimeRequestId::new();
        for request in [request, never] {
            let fact = VerificationRequested { user: account.id, request, locale: None };
            subscribers(&service)[0].hear(&event(&fact)).await.unwrap();
        }
        world.auth.spend_request(request);
        deliver_all(&service).await;
        assert_eq!(world.mails(&service).await.len(), 0);
        let answer = world.ask(&service, Method::GET, "/api/v1/notifications?state=obsolete", None).await;
        assert_eq!(answer.body["items"].as_array().unwrap().len(), 2, "{}", answer.text);
        world.clock.advance(HOUR);
        assert_eq!(service.deliver_due().await.unwrap(), 0);
    }

    async fn an_account_that_is_not_there_parks_the_message(db: Database) {
        let world = World::new(db);
        let service = world.service();
        subscribers(&service)[0].hear(&event(&RegistrationRepeated { user: UserId::new() })).await.unwrap();
        deliver_all(&service).await;
        let answer = world.ask(&service, Method::GET, "/api/v1/notifications?state=failed", None).await;
        assert_eq!(answer.body["items"].as_array().unwrap().len(), 1, "{}", answer.text);
    }

    async fn a_worker_is_woken_by_a_message_and_does_not_wait_for_its_next_look(db: Database) {
        let mut world = World::new(db);
        world.settings.poll_interval_ms = 3_600_000;
        let hand = Hand::new(|_| Ok(()));
        let service = world.service_with(hand.clone());
        while_working(&[Arc::clone(&service)], async {
            for count in 1..=3 {
                announce(&service, "mia@example.org", "News").await;
                while hand.taken().len() < count {
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
    }

    async fn a_worker_that_is_told_to_stop_ends_what_it_began(db: Database) {
        let world = World::new(db);
        let gate = Arc::new(Semaphore::new(0));
        let service = world.service_with(Slow { open: Arc::clone(&gate), succeed: true });
        let id = announce(&service, "mia@example.org", "News").await;
        let stop = CancellationToken::new();
        let told = async {
            while world.tries(&service, id).await.1.is_empty() {
                tokio::task::yield_now().await;
            }
            stop.cancel();
            gate.add_permits(1);
        };
        tokio::join!(Arc::clone(&service).work(stop.clone()), told);
        assert_eq!(world.tries(&service, id).await.0, "sent");
    }
}

fn event<F: Fact>(fact: &F) -> Event {
    Event::of(fact, &Caller::module("auth"), contracts::Time::from_seconds(1_767_225_600)).unwrap()
}

fn profile(id: UserId, display_name: Option<&str>, locale: Option<&str>) -> Profile {
    Profile {
        id,
        display_name: display_name.map(str::to_owned),
        phone: None,
        locale: locale.map(str::to_owned),
        time_zone: None,
    }
}

/// Sends and then never comes back, as a process that is killed.
struct Stuck {
    inner: Hand,
    sent: Arc<Notify>,
}

#[async_trait]
impl Channel for Stuck {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        self.inner.send(letter).await?;
        self.sent.notify_one();
        std::future::pending().await
    }
}

/// Waits until it is let go.
struct Slow {
    open: Arc<Semaphore>,
    succeed: bool,
}

#[async_trait]
impl Channel for Slow {
    async fn send(&self, _: &Letter) -> Result<Option<String>, Failure> {
        self.open.acquire().await.unwrap().forget();
        if self.succeed { Ok(None) } else { Err(Failure::permanent(Reason::ProviderRefused, "too late")) }
    }
}

impl World {
    /// The messages in the mailbox.
    pub(crate) async fn mails(&self, service: &Arc<Service>) -> Vec<Value> {
        let answer = self.ask(service, Method::GET, "/dev/mailbox.json", None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.body["items"].as_array().unwrap().clone()
    }

    async fn sent(&self, service: &Arc<Service>) -> usize {
        let mut count = 0;
        let mut path = "/api/v1/notifications?state=sent&limit=200".to_owned();
        loop {
            let answer = self.ask(service, Method::GET, &path, None).await;
            count += answer.body["items"].as_array().unwrap().len();
            let Some(cursor) = answer.body["next_cursor"].as_str() else { return count };
            path = format!("/api/v1/notifications?state=sent&limit=200&cursor={cursor}");
        }
    }
}
