//! Caches of several replicas, story by story: who answers from where, what a change costs, and what happens without
//! Redis.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use testkit::cable::Cable;
use testkit::databases::{Engine, TestDatabase, run};
use testkit::redis::RedisServer;

use crate::cache_world::{Kind, World};

const LEASE_MS: u64 = 600;

/// Runs on PostgreSQL, with a Redis of its own.
fn with_redis(test: impl AsyncFnOnce(&mut World)) {
    run(Engine::Postgres, &crate::migrations(), async |database| {
        let Some(server) = RedisServer::start() else { return };
        test(&mut World::new(database, Some(server), LEASE_MS).await).await;
    });
}

fn without_redis(test: impl AsyncFnOnce(&mut World)) {
    run(Engine::Postgres, &crate::migrations(), async |database: &TestDatabase| {
        test(&mut World::new(database, None, LEASE_MS).await).await;
    });
}

fn soon() -> Duration {
    Duration::from_millis(LEASE_MS / 2)
}

fn patience() -> Duration {
    Duration::from_millis(LEASE_MS)
}

#[test]
fn what_one_replica_has_read_another_has_from_redis() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.replica(Kind::Usual).await);
        let user = world.people(1).await[0];
        // The second one begins an epoch; both know it after a lease.
        b.until(|b| b.in_use() && b.caches.epoch() == a.caches.epoch()).await;
        a.write(user).await;
        assert_eq!(a.warm(user).await, 1);
        let loads = world.loads();
        assert_eq!(a.warm(user).await, 1);
        assert_eq!(world.loads(), loads, "memory answers");
        assert_eq!(b.warm(user).await, 1);
        assert_eq!(
            world.loads(),
            loads + 1,
            "the first read of a key asks the database, the second one Redis"
        );
    });
}

#[test]
fn a_change_is_heard_by_all_before_its_writer_is_answered_and_long_before_a_lease_is_over() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        a.until(|a| a.in_use() && a.caches.epoch() == b.caches.epoch()).await;
        let user = world.people(1).await[0];
        for round in 1..=20 {
            let (writer, reader) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
            reader.warm(user).await;
            let began = Instant::now();
            assert_eq!(writer.write(user).await, round);
            assert!(began.elapsed() < soon(), "the slow way: {:?}", began.elapsed());
            assert_eq!((a.read(user).await, b.read(user).await), (round, round));
        }
    });
}

#[test]
fn without_redis_one_change_waits_for_the_leases_the_next_ones_don_t_and_redis_is_used_again_by_itself() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        assert_eq!((a.warm(user).await, b.warm(user).await), (0, 0));
        world.server().kill();
        let began = Instant::now();
        assert_eq!(a.write(user).await, 1);
        assert!(began.elapsed() >= patience(), "who did not hear still had a lease: {:?}", began.elapsed());
        assert_eq!((a.read(user).await, b.read(user).await), (1, 1));
        b.until(|b| !b.in_use()).await;
        for round in 2..10 {
            let began = Instant::now();
            assert_eq!(b.write(user).await, round);
            assert!(began.elapsed() < soon(), "everybody knows that Redis is away: {:?}", began.elapsed());
            assert_eq!((a.read(user).await, b.read(user).await), (round, round));
        }
        world.server().start_again();
        a.until(|a| a.in_use() && b.in_use() && a.caches.epoch() == b.caches.epoch()).await;
        let began = Instant::now();
        b.write(user).await;
        assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
        let loads = world.loads();
        for _ in 0..10 {
            a.read(user).await;
        }
        assert!(world.loads() <= loads + 2, "it is kept again");
    });
}

#[test]
fn a_redis_that_does_not_answer_costs_one_deadline_and_not_one_a_read() {
    with_redis(async |world| {
        let a = world.ready(Kind::Usual).await;
        let people = world.people(50).await;
        world.server().pause();
        let began = Instant::now();
        for user in &people {
            assert_eq!(a.warm(*user).await, 0);
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        world.server().resume();
        a.until(super::cache_world::Replica::in_use).await;
    });
}

#[test]
fn a_replica_that_was_killed_is_waited_for_once() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        b.warm(user).await;
        b.crash().await;
        assert_eq!(a.write(user).await, 1);
        a.until(super::cache_world::Replica::in_use).await;
        let began = Instant::now();
        assert_eq!(a.write(user).await, 2);
        assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
        assert_eq!(a.read(user).await, 2);
    });
}

#[test]
fn a_replica_that_leaves_holds_nobody_up() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        a.until(|a| a.in_use() && a.caches.epoch() == b.caches.epoch()).await;
        let leaves = b.leave();
        let writes = async {
            for round in 1..50 {
                let began = Instant::now();
                assert_eq!(a.write(user).await, round);
                assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::join!(leaves, writes);
    });
}

#[test]
fn a_change_whose_writer_is_gone_is_made_known_all_the_same() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        a.until(|a| a.in_use() && a.caches.epoch() == b.caches.epoch()).await;
        b.warm(user).await;
        a.commit(user).await;
        drop(a.cache.invalidate(&user));
        let began = Instant::now();
        while b.read(user).await != 1 {
            assert!(began.elapsed() < Duration::from_secs(5), "nobody was told");
        }
    });
}

#[test]
fn a_change_between_a_commit_and_a_crash_is_known_when_the_crash_is() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        b.warm(user).await;
        a.commit(user).await;
        a.crash().await;
        let began = Instant::now();
        while b.read(user).await != 1 {
            assert!(began.elapsed() < Duration::from_secs(10), "kept until its time is over");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_replica_that_was_killed_is_not_taken_off_before_the_epoch_that_must_follow_can_begin() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        a.until(|a| a.in_use() && a.caches.epoch() == b.caches.epoch()).await;
        world
            .sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; \
                 CREATE TRIGGER refuse BEFORE UPDATE ON platform_cache_epoch FOR EACH ROW \
                 EXECUTE FUNCTION refuse()",
            )
            .await;
        assert_eq!(a.warm(user).await, 0);
        b.commit(user).await;
        b.crash().await;
        // By now it counts as gone, and that was tried more than once.
        tokio::time::sleep(patience() * 6).await;
        world.sql("DROP TRIGGER refuse ON platform_cache_epoch").await;
        let began = Instant::now();
        while a.read(user).await != 1 {
            assert!(began.elapsed() < Duration::from_secs(10), "what it did not tell is never known");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_worker_that_panicked_goes_on_when_it_is_started_again() {
    without_redis(async |world| {
        let mut a = world.ready(Kind::Poor).await;
        let user = world.people(1).await[0];
        a.warm(user).await;
        let forgotten = AtomicU32::new(0);
        // First by the writer, then by the worker.
        a.cache.when_forgotten(move |_| assert_ne!(forgotten.fetch_add(1, Ordering::SeqCst), 1, "it breaks"));
        a.commit(user).await;
        let told = a.cache.invalidate(&user);
        let broken = tokio::time::timeout(Duration::from_secs(20), a.tasks.join_next()).await;
        assert!(broken.expect("it panics").unwrap().unwrap_err().is_panic());
        a.work_again();
        let told = tokio::time::timeout(Duration::from_secs(20), told.into_future()).await;
        told.expect("whoever waited is answered by the next run");
        assert_eq!(a.read(user).await, 1);
        a.until(super::cache_world::Replica::in_use).await;
        let began = Instant::now();
        assert_eq!(a.write(user).await, 2);
        assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
        assert_eq!(a.read(user).await, 2);
    });
}

#[test]
fn one_who_keeps_nothing_hears_and_tells_all_the_same() {
    with_redis(async |world| {
        let (a, off) = (world.ready(Kind::Usual).await, world.replica(Kind::Off).await);
        let user = world.people(1).await[0];
        a.until(super::cache_world::Replica::in_use).await;
        a.warm(user).await;
        assert_eq!(off.write(user).await, 1);
        assert_eq!((a.warm(user).await, off.read(user).await), (1, 1));
        let began = Instant::now();
        a.write(user).await;
        assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
        assert_eq!(off.caches.epoch(), None);
    });
}

#[test]
fn one_who_was_cut_off_keeps_nothing_until_he_is_there_again() {
    with_redis(async |world| {
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        let user = world.people(1).await[0];
        for harm in [Cable::pull, Cable::stall] {
            a.until(|a| a.in_use() && b.in_use() && a.caches.epoch() == b.caches.epoch()).await;
            b.warm(user).await;
            harm(b.cable.as_ref().unwrap());
            let written = a.write(user).await;
            assert_eq!((a.read(user).await, b.read(user).await), (written, written));
            let written = b.write(user).await;
            assert_eq!((a.read(user).await, b.read(user).await), (written, written));
            b.cable.as_ref().unwrap().mend();
        }
    });
}

#[test]
fn without_a_redis_one_process_keeps_things_and_two_keep_nothing() {
    without_redis(async |world| {
        let a = world.ready(Kind::Poor).await;
        let user = world.people(1).await[0];
        a.warm(user).await;
        let loads = world.loads();
        assert_eq!(a.read(user).await, 0);
        assert_eq!(world.loads(), loads, "it is kept");
        let began = Instant::now();
        assert_eq!(a.write(user).await, 1);
        assert!(began.elapsed() < soon(), "{:?}", began.elapsed());
        let b = world.ready(Kind::Poor).await;
        assert_eq!((a.warm(user).await, b.warm(user).await), (1, 1));
        for round in 2..6 {
            assert_eq!(b.write(user).await, round);
            assert_eq!((a.read(user).await, b.read(user).await), (round, round));
        }
        assert_eq!((a.caches.epoch(), b.caches.epoch()), (None, None));
        b.leave().await;
        a.until(super::cache_world::Replica::in_use).await;
    });
}

#[test]
fn a_command_beside_a_server_makes_its_changes_known() {
    without_redis(async |world| {
        let user = world.people(1).await[0];
        let command = world.command().await;
        let began = Instant::now();
        assert_eq!(command.write(user).await, 1);
        assert!(began.elapsed() < soon(), "nobody is there: {:?}", began.elapsed());
        let a = world.ready(Kind::Poor).await;
        a.warm(user).await;
        assert_eq!(command.write(user).await, 2);
        assert_eq!(a.read(user).await, 2);
        a.until(super::cache_world::Replica::in_use).await;
    });
}
