//! What had left when its process was killed: noted in a file until the database knows it, and not sent again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::NotificationId;
use diesel_async::RunQueryDsl;
use notifications::{Channel, Failure, Letter, Reason, Service};
use platform::db::{self, Database, DbConn};
use tempfile::TempDir;
use testkit::both_engines;
use tokio::sync::Notify;

use crate::world::{Hand, World, announce, deliver_all, while_working};

const HOUR: Duration = Duration::from_secs(3_600);

both_engines! {
    async fn what_had_left_when_the_process_was_killed_is_not_sent_again(db: Database) {
        let (world, folder) = noting(&db);
        let (killed, mails) = killed_before_it_wrote_down(&world, &folder).await;
        let next = world.service_with(mails.clone());
        while_working(&[Arc::clone(&next)], until_sent(&world, &next, killed)).await;
        world.clock.advance(HOUR);
        deliver_all(&next).await;
        assert_eq!(mails.taken().len(), 1);
        assert_eq!(world.tries(&next, killed).await, ("sent".to_owned(), vec!["sent".to_owned()]));
        assert_eq!(world.delivery(&next, &killed.to_string()).await["provider"], "primary");
        assert_eq!(notes(&folder), Vec::<PathBuf>::new(), "the note has served");
    }

    async fn a_note_that_was_cut_off_still_says_that_it_left(db: Database) {
        let (world, folder) = noting(&db);
        let (killed, mails) = killed_before_it_wrote_down(&world, &folder).await;
        fs::write(&notes(&folder)[0], "").unwrap();
        let next = world.service_with(mails.clone());
        next.take_over().await.unwrap();
        deliver_all(&next).await;
        let outcomes = ["interrupted", "sent"].map(str::to_owned).to_vec();
        assert_eq!(world.tries(&next, killed).await, ("sent".to_owned(), outcomes));
        assert_eq!(mails.taken().len(), 1);
    }

    async fn a_note_of_a_try_whose_end_is_known_is_not_believed(db: Database) {
        let (mut world, folder) = noting(&db);
        world.settings.max_attempts = 5;
        let refusing = world.service_with(Hand::new(|_| Err(Failure::temporary(Reason::ProviderUnavailable, "later"))));
        let id = announce(&refusing, "mia@example.org", "News").await;
        deliver_all(&refusing).await;
        let delivery = world.delivery(&refusing, &id.to_string()).await["message_id"].as_str().unwrap().to_owned();
        let note = folder.path().join("sent").join(format!("{}.1", delivery.split('@').next().unwrap()));
        fs::write(&note, "{}").unwrap();
        world.clock.advance(HOUR);
        killed_while_sending(&world).await;
        world.clock.advance(HOUR);
        let mails = Hand::new(|_| Ok(()));
        let next = world.service_with(mails.clone());
        deliver_all(&next).await;
        assert_eq!(mails.taken().len(), 1, "it never left before");
        assert_eq!(world.tries(&next, id).await.0, "sent");
    }

    async fn without_a_place_for_notes_messages_leave_all_the_same(db: Database) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("sent"), "a file where a folder should be").unwrap();
        let mut world = World::new(db);
        world.notes = Some(folder.path().join("sent"));
        let mails = Hand::new(|_| Ok(()));
        let service = world.service_with(mails.clone());
        let id = announce(&service, "mia@example.org", "News").await;
        deliver_all(&service).await;
        assert_eq!((world.tries(&service, id).await.0, mails.taken().len()), ("sent".to_owned(), 1));
    }
}

fn noting(db: &Database) -> (World, TempDir) {
    let folder = TempDir::new().unwrap();
    let mut world = World::new(db.clone());
    (world.mailbox, world.notes) = (false, Some(folder.path().join("sent")));
    (world, folder)
}

fn notes(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path().join("sent")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Ends a process after the provider's answer and before the commit: the rows are held by somebody else.
async fn killed_before_it_wrote_down(world: &World, folder: &TempDir) -> (NotificationId, Hand) {
    let (mails, release) = (Hand::new(|_| Ok(())), Arc::new(Notify::new()));
    let holder = Holder { mails: mails.clone(), db: world.db.clone(), release: Arc::clone(&release) };
    let service = world.service_with(holder);
    let id = announce(&service, "mia@example.org", "News").await;
    tokio::select! {
        _ = service.deliver_due() => panic!("it was written down although the rows are held"),
        () = until(|| notes(folder).iter().any(|note| full(note))) => {}
    }
    release.notify_one();
    (id, mails)
}

async fn killed_while_sending(world: &World) {
    let reached = Arc::new(Notify::new());
    let service = world.service_with(Silent(Arc::clone(&reached)));
    tokio::select! {
        _ = service.deliver_due() => panic!("it ended although it is stuck"),
        () = reached.notified() => {}
    }
}

async fn until_sent(world: &World, service: &Arc<Service>, id: NotificationId) {
    while world.tries(service, id).await.0 != "sent" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn full(note: &Path) -> bool {
    fs::metadata(note).is_ok_and(|known| known.len() > 0)
}

/// Takes a letter, and before it says so, has the rows locked by somebody else.
struct Holder {
    mails: Hand,
    db: Database,
    release: Arc<Notify>,
}

#[async_trait]
impl Channel for Holder {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        self.hold().notified().await;
        self.mails.send(letter).await
    }
}

impl Holder {
    /// Locks the rows until they are released; what is returned tells when it has them.
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever holds the rows outlives the process that is killed"
    )]
    fn hold(&self) -> Arc<Notify> {
        let (db, release, held) = (self.db.clone(), Arc::clone(&self.release), Arc::new(Notify::new()));
        let locked = Arc::clone(&held);
        tokio::spawn(async move {
            let work = async |tx: &mut DbConn| -> db::Result<()> {
                let lock = "UPDATE notifications_deliveries SET attempts = attempts";
                diesel::sql_query(lock).execute(tx).await?;
                locked.notify_one();
                release.notified().await;
                Ok(())
            };
            db.transaction(work).await.unwrap();
        });
        held
    }
}

/// Never answers.
struct Silent(Arc<Notify>);

#[async_trait]
impl Channel for Silent {
    async fn send(&self, _: &Letter) -> Result<Option<String>, Failure> {
        self.0.notify_one();
        std::future::pending().await
    }
}
