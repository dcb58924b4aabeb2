//! The checker: replicas read and write at random while Redis is killed, paused, emptied, put back to an older state
//! and cut off, and while replicas come, go and die. No read may be older than a write that was acknowledged before it
//! began. Where changes are told to nobody, the same checker must find such reads.
//!
//! The state is a counter for each key, so a read is judged by one comparison, and no clock is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::UserId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::databases::{Engine, TestDatabase, run};
use testkit::redis::RedisServer;
use tokio_util::sync::CancellationToken;

use crate::cache_world::{Kind, Replica, World};

const KEYS: usize = 5;
const REPLICAS: usize = 3;

#[derive(Default)]
struct History {
    acknowledged: [AtomicI64; KEYS],
    reads: AtomicU64,
    writes: AtomicU64,
    stale: AtomicU64,
    slowest_write_ms: AtomicU64,
    slowest_read_ms: AtomicU64,
}

/// Lets clients work at a replica until they are stopped, or the replica crashes.
fn clients(
    replica: Replica,
    people: &Arc<Vec<UserId>>,
    history: &Arc<History>,
    stop: &CancellationToken,
) -> Member {
    let replica = Arc::new(replica);
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..3 {
        let (replica, people, history, stop) =
            (Arc::clone(&replica), Arc::clone(people), Arc::clone(history), stop.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                let key = rand::rng().random_range(0..KEYS);
                let began = Instant::now();
                if client == 0 {
                    let written = replica.write(people[key]).await;
                    history.acknowledged[key].fetch_max(written, Ordering::SeqCst);
                    history.writes.fetch_add(1, Ordering::SeqCst);
                    history.slowest_write_ms.fetch_max(ms(began), Ordering::SeqCst);
                    let pause = rand::rng().random_range(0..30);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                } else {
                    let at_least = history.acknowledged[key].load(Ordering::SeqCst);
                    let read = replica.read(people[key]).await;
                    history.reads.fetch_add(1, Ordering::SeqCst);
                    history.slowest_read_ms.fetch_max(ms(began), Ordering::SeqCst);
                    if read < at_least {
                        history.stale.fetch_add(1, Ordering::SeqCst);
                    }
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
            }
        });
    }
    Member { replica, tasks, stop: stop.clone() }
}

fn ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap()
}

struct Member {
    replica: Arc<Replica>,
    tasks: tokio::task::JoinSet<()>,
    stop: CancellationToken,
}

impl Member {
    async fn crash(mut self) {
        self.tasks.shutdown().await;
        Arc::into_inner(self.replica).unwrap().crash().await;
    }

    async fn leave(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        Arc::into_inner(self.replica).unwrap().leave().await;
    }
}

async fn some_time(random: &mut StdRng, from: u64, to: u64) {
    let pause = random.random_range(from..to);
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// What the checker saw.
#[derive(Debug)]
struct Seen {
    reads: u64,
    loads: u64,
    writes: u64,
    stale: u64,
    faults: Vec<&'static str>,
    slowest_write_ms: u64,
    slowest_read_ms: u64,
}

async fn check(
    database: &TestDatabase,
    seed: u64,
    kind: Kind,
    faults: bool,
    length: Duration,
) -> Option<Seen> {
    let server = RedisServer::start()?;
    let mut world = World::new(database, Some(server), 400).await;
    let people = Arc::new(world.people(i64::try_from(KEYS).unwrap()).await);
    let history = Arc::new(History::default());
    let mut random = StdRng::seed_from_u64(seed);
    let mut members = Vec::new();
    for _ in 0..REPLICAS {
        members.push(clients(world.ready(kind).await, &people, &history, &CancellationToken::new()));
    }
    let (began, mut done) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        some_time(&mut random, 200, 1_500).await;
        if !faults {
            continue;
        }
        let victim = random.random_range(0..members.len());
        let fault = random.random_range(0..9);
        done.push(match fault {
            0 | 1 => {
                // What is on the disk is older than what was taken out since.
                if fault == 0 {
                    let _ = world.server().ask("SAVE");
                    some_time(&mut random, 50, 400).await;
                }
                world.server().kill();
                some_time(&mut random, 1, 900).await;
                world.server().start_again();
                "killed"
            }
            2 => {
                world.server().pause();
                some_time(&mut random, 50, 900).await;
                world.server().resume();
                "paused"
            }
            3 => {
                let _ = world.server().ask("FLUSHALL");
                "emptied"
            }
            4..=6 => {
                let cable = members[victim].replica.cable.as_ref().unwrap();
                if fault == 4 {
                    cable.pull();
                } else {
                    cable.stall();
                }
                some_time(&mut random, 50, 900).await;
                cable.mend();
                "cut off"
            }
            7 => {
                members.swap_remove(victim).crash().await;
                members.push(clients(
                    world.replica(kind).await,
                    &people,
                    &history,
                    &CancellationToken::new(),
                ));
                "crashed"
            }
            _ => {
                members.swap_remove(victim).leave().await;
                members.push(clients(
                    world.replica(kind).await,
                    &people,
                    &history,
                    &CancellationToken::new(),
                ));
                "left"
            }
        });
    }
    for member in members {
        member.leave().await;
    }
    let count = |number: &AtomicU64| number.load(Ordering::SeqCst);
    Some(Seen {
        reads: count(&history.reads),
        loads: world.loads(),
        writes: count(&history.writes),
        stale: count(&history.stale),
        faults: done,
        slowest_write_ms: count(&history.slowest_write_ms),
        slowest_read_ms: count(&history.slowest_read_ms),
    })
}

fn checked(test: impl AsyncFnOnce(&TestDatabase)) {
    run(Engine::Postgres, &crate::migrations(), test);
}

/// `DOORWARD_TEST_CHECKER_SECONDS` makes it longer, `DOORWARD_TEST_SEED` makes it another one.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_read_is_older_than_an_acknowledged_write_whatever_becomes_of_redis() {
    checked(async |database| {
        let seed = number("DOORWARD_TEST_SEED", rand::rng().random_range(0..1_000_000));
        let length = Duration::from_secs(number("DOORWARD_TEST_CHECKER_SECONDS", 20));
        let Some(seen) = check(database, seed, Kind::Usual, true, length).await else { return };
        eprintln!("seed {seed}: {seen:?}");
        assert_eq!(seen.stale, 0, "seed {seed}: {seen:?}");
        assert!(seen.reads > 1_000 && seen.writes > 20, "seed {seed}: {seen:?}");
        assert!(!seen.faults.is_empty(), "nothing went wrong");
        assert!(seen.slowest_read_ms < 5_000 && seen.slowest_write_ms < 20_000, "seed {seed}: {seen:?}");
    });
}

#[test]
fn without_faults_most_reads_ask_nobody_and_writes_are_quick() {
    checked(async |database| {
        let Some(seen) = check(database, 1, Kind::Usual, false, Duration::from_secs(3)).await else { return };
        eprintln!("{seen:?}");
        assert_eq!(seen.stale, 0, "{seen:?}");
        assert!(seen.loads * 2 < seen.reads, "{seen:?}");
    });
}

#[test]
fn the_checker_finds_stale_reads_where_changes_are_told_to_nobody() {
    checked(async |database| {
        let Some(seen) = check(database, 1, Kind::Dumb, false, Duration::from_secs(2)).await else { return };
        eprintln!("{seen:?}");
        assert!(seen.stale > 0, "the checker sees nothing: {seen:?}");
    });
}
