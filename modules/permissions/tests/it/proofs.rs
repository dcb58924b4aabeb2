//! Administrators of whom nobody told that they can log in are asked about.

use crate::world::{Person, World, warm};
use async_trait::async_trait;
use contracts::auth::{Account, AccountState, Auth, FindAccount, RemoteAuth};
use contracts::wire::{Line, Method, gone};
use contracts::{AssignmentId, Caller, EmailAddress, Result};
use permissions::{Service, Settings};
use platform::db::Database;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::both_engines;
use testkit::fakes::FakeAuth;
use tokio_util::sync::CancellationToken;

const LAST: &str = "permissions.last_administrator";

/// Auth, that does not answer for a while and counts what it is asked.
#[derive(Default)]
struct Elsewhere {
    auth: FakeAuth,
    broken_for: AtomicUsize,
    asked: Mutex<Vec<FindAccount>>,
}

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elsewhere")
    }
}

#[async_trait]
impl Line for Elsewhere {
    async fn carry(&self, method: &'static Method, caller: &Caller, ask: Vec<u8>) -> Result<Vec<u8>> {
        assert_eq!((method.path, &caller.actor), ("auth/find_account", &Caller::module("permissions").actor));
        let less = |left: usize| left.checked_sub(1);
        if self.broken_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(gone());
        }
        let ask: FindAccount = serde_json::from_slice(&ask).unwrap();
        self.asked.lock().unwrap().push(ask.clone());
        Ok(serde_json::to_vec(&self.auth.find_account(caller, ask).await?).unwrap())
    }
}

impl Elsewhere {
    fn add(&self, world: &World, person: &Person, state: AccountState) {
        self.auth.set_account(Account {
            id: person.id,
            email: EmailAddress::parse(&format!("{}@example.org", person.id)).unwrap(),
            email_verified: true,
            state,
            revision: 1,
            created_at: world.clock.now(),
            updated_at: world.clock.now(),
        });
    }
}

/// Somebody who can log in, is administrator, and would like to be none any more.
async fn leaving(world: &World) -> (Person, AssignmentId) {
    let person = world.person();
    world.stand(&person, true).await.unwrap();
    let given = world.assign(&person, "admin").await;
    (person, given)
}

/// Lets the module ask until that person could leave.
async fn ask_until_gone(world: &World, auth: &Arc<Elsewhere>, person: &Person, given: AssignmentId) {
    let path = format!("/api/v1/role-assignments/{given}");
    let leave = async || world.delete(&path).by(person).send().await;
    leave().await.expect_problem(409, LAST);
    let settings = Settings { sweep_interval_seconds: 1, ..Settings::default() };
    let asker = Arc::new(Service::new(world.db.clone(), world.clock.clone(), settings, &warm()));
    let stop = CancellationToken::new();
    let line: Arc<dyn Line> = auth.clone();
    let work = asker.prove_administrators(Arc::new(RemoteAuth(line)), stop.clone());
    let watch = async {
        for _ in 0..200 {
            if leave().await.status == 204 {
                return stop.cancel();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody else counts");
    };
    futures_util::join!(work, watch);
}

both_engines! {
    async fn an_administrator_of_whom_nobody_told_counts_when_auth_says_that_he_can_log_in(db: Database) {
        let world = World::new(db);
        let ((root, given), silent) = (leaving(&world).await, world.person());
        world.assign(&silent, "admin").await;
        let auth = Arc::<Elsewhere>::default();
        auth.add(&world, &silent, AccountState::Active);
        auth.broken_for.store(1, Ordering::SeqCst);
        ask_until_gone(&world, &auth, &root, given).await;
        assert_eq!(world.stand(&silent, false).await.unwrap_err().code, LAST);
        assert_eq!(*auth.asked.lock().unwrap(), [FindAccount { user: silent.id }], "only about him, and only until it is known");
    }

    async fn so_does_one_in_a_group_inside_of_a_group(db: Database) {
        let world = World::new(db);
        let ((root, given), silent) = (leaving(&world).await, world.person());
        let (outer, inner) = (world.group(&root, "outer").await, world.group(&root, "inner").await);
        world.endow(&root, &outer, "admin").await;
        world.join(&root, &outer, &json!({ "type": "group", "id": inner })).await.expect(204);
        world.join(&root, &inner, &silent.subject()).await.expect(204);
        let auth = Arc::<Elsewhere>::default();
        auth.add(&world, &silent, AccountState::Active);
        ask_until_gone(&world, &auth, &root, given).await;
        assert_eq!(world.stand(&silent, false).await.unwrap_err().code, LAST);
    }

    async fn who_cannot_log_in_and_an_id_that_nobody_has_do_not_count_for_that(db: Database) {
        let world = World::new(db);
        let (root, given) = leaving(&world).await;
        let [mistyped, registered, disabled, deleted, suspended, brief, silent] =
            std::array::from_fn(|_| world.person());
        let auth = Arc::<Elsewhere>::default();
        for (person, state) in [
            (&registered, AccountState::Unverified), (&disabled, AccountState::Disabled),
            (&deleted, AccountState::Deleted), (&suspended, AccountState::Active),
            (&brief, AccountState::Active), (&silent, AccountState::Active),
        ] {
            auth.add(&world, person, state);
        }
        for person in [&mistyped, &registered, &disabled, &deleted, &suspended, &silent] {
            world.assign(person, "admin").await;
        }
        world.assign_until(&brief, "admin", Some(world.later(60))).await;
        world.stand(&suspended, false).await.unwrap();
        ask_until_gone(&world, &auth, &root, given).await;
        assert_eq!(world.stand(&silent, false).await.unwrap_err().code, LAST, "of all these only he counts");
        let asked: Vec<_> = auth.asked.lock().unwrap().iter().map(|ask| ask.user).collect();
        assert!(!asked.contains(&suspended.id) && !asked.contains(&brief.id), "who would not count is not asked about");
    }

    async fn those_whom_nobody_knows_keep_nobody_from_being_found(db: Database) {
        let world = World::new(db);
        let (root, given) = leaving(&world).await;
        for _ in 0..100 {
            world.assign(&world.person(), "admin").await;
        }
        let silent = world.person();
        world.assign(&silent, "admin").await;
        let auth = Arc::<Elsewhere>::default();
        auth.add(&world, &silent, AccountState::Active);
        ask_until_gone(&world, &auth, &root, given).await;
        assert_eq!(auth.asked.lock().unwrap().len(), 101, "a hundred, and then the rest");
    }
}
