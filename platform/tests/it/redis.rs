//! Every way to a Redis, with real servers: one with TLS and a password, one that sentinels name, and a cluster; and what
//! happens when the one that was used goes.

use std::time::{Duration, Instant};

use platform::limits::{Global, Limit};
use platform::redis::{Redis, Settings};
use testkit::databases::{Engine, TestDatabase, run};
use testkit::redis::{RedisServer, harmless};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cache_world::{Kind, Replica, World};

/// A Redis that is being connected to for as long as the second value is kept.
fn connecting(settings: &Settings) -> (Redis, JoinSet<()>) {
    let redis = Redis::open(settings).unwrap().unwrap();
    let (mut tasks, it) = (JoinSet::new(), redis.clone());
    tasks.spawn(async move { it.run(CancellationToken::new()).await });
    (redis, tasks)
}

fn settings(url: &str) -> Settings {
    let key_prefix = format!("test-{}", contracts::EventId::new());
    Settings { url: url.into(), key_prefix, ..Settings::default() }
}

async fn within_ten_seconds(holds: impl AsyncFn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

const THREE: Limit = Limit { capacity: 3, window: Duration::from_secs(60) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_together_let_through_what_one_may() {
    let Some((url, _server)) = harmless() else { return };
    let settings = settings(&url);
    let ((a, _a), (b, _b)) = (connecting(&settings), connecting(&settings));
    let (a, b) = (Global::new(a, [7; 32]), Global::new(b, [7; 32]));
    let connected = async || {
        a.take("other", &[b"x"], THREE).await.is_some() && b.take("other", &[b"y"], THREE).await.is_some()
    };
    assert!(within_ten_seconds(connected).await);
    let mut seen = Vec::new();
    for process in [&a, &b, &a, &b, &a] {
        seen.push(process.take("logins", &[b"192.0.2.7"], THREE).await.unwrap());
    }
    let allowed: Vec<_> = seen.iter().map(|level| (level.allowed, level.left)).collect();
    assert_eq!(allowed, [(true, 2), (true, 1), (true, 0), (false, 0), (false, 0)]);
    assert!((55..=60).contains(&seen[2].seconds) && (15..=20).contains(&seen[3].seconds), "{seen:?}");
    assert!(a.take("logins", &[b"192.0.2.8"], THREE).await.unwrap().allowed, "a bucket each");
    let quick = Limit { capacity: 2, window: Duration::from_millis(400) };
    while a.take("quick", &[b"x"], quick).await.unwrap().allowed {}
    assert!(
        within_ten_seconds(async || b.take("quick", &[b"x"], quick).await.unwrap().allowed).await,
        "it fills up"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nothing_is_said_about_a_limit_and_nobody_waits() {
    let Some(mut server) = RedisServer::start() else { return };
    let (redis, _task) = connecting(&settings(&server.url()));
    let global = Global::new(redis, [7; 32]);
    assert!(within_ten_seconds(async || global.take("logins", &[b"x"], THREE).await.is_some()).await);
    server.kill();
    global.take("logins", &[b"x"], THREE).await;
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(global.take("logins", &[b"x"], THREE).await, None);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.start_again();
    assert!(
        within_ten_seconds(async || global.take("logins", &[b"x"], THREE).await.is_some()).await,
        "it is used again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_is_heard_in_every_process_also_after_a_restart() {
    let Some(mut server) = RedisServer::start() else { return };
    let settings = settings(&server.url());
    let (a, _a) = connecting(&settings);
    let b = Redis::open(&settings).unwrap().unwrap();
    let mut told = b.listen("news");
    let (mut tasks, it) = (JoinSet::new(), b.clone());
    tasks.spawn(async move { it.run(CancellationToken::new()).await });
    for round in 0..2 {
        let began = Instant::now();
        loop {
            // What is told before the other one is connected is lost.
            if let Ok(message) = tokio::time::timeout(Duration::from_millis(200), told.recv()).await {
                let message = message.unwrap();
                if message == format!("round {round}").as_bytes() {
                    break;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(10), "nobody heard");
            a.tell("other", b"not for us").await;
            a.tell("news", format!("round {round}").as_bytes()).await;
        }
        server.kill();
        server.start_again();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_the_certificate_the_name_and_the_password_must_be_right() {
    let Some(server) = RedisServer::with_tls("hunter2") else { return };
    let ca_file = server.folder().join("ca.pem").display().to_string();
    let port = server.address().port();
    let connects = async |url: String, ca_file: &str, patience: u64| {
        let (redis, _task) = connecting(&Settings { ca_file: ca_file.to_owned(), ..settings(&url) });
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(patience) {
            if redis.tell("news", b"x").await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(connects(format!("rediss://:hunter2@127.0.0.1:{port}"), &ca_file, 10_000).await);
    assert!(connects(format!("rediss://:hunter2@localhost:{port}"), &ca_file, 10_000).await);
    assert!(
        !connects(format!("rediss://:hunter3@127.0.0.1:{port}"), &ca_file, 500).await,
        "another password"
    );
    assert!(
        !connects(format!("rediss://:hunter2@127.0.0.1:{port}"), "", 500).await,
        "nobody knows this authority"
    );
    assert!(!connects(format!("redis://:hunter2@127.0.0.1:{port}"), "", 500).await, "no TLS");
    let missing = Settings { ca_file: "/nowhere/ca.pem".into(), ..settings("rediss://localhost") };
    assert!(Redis::open(&missing).unwrap_err().to_string().contains("redis.ca_file"));
}

fn with_database(test: impl AsyncFnOnce(&TestDatabase)) {
    run(Engine::Postgres, &crate::migrations(), test);
}

async fn in_use(a: &Replica, b: &Replica) {
    a.until(|a| a.in_use() && b.in_use() && a.caches.epoch() == b.caches.epoch()).await;
}

/// Writes and reads at both for a while; what was acknowledged is what is read. Says how many rounds there were.
async fn right(a: &Replica, b: &Replica, user: contracts::UserId, length: Duration) -> usize {
    let (began, mut rounds) = (Instant::now(), 0);
    while began.elapsed() < length {
        let (writer, reader) = if rounds % 2 == 0 { (a, b) } else { (b, a) };
        reader.warm(user).await;
        let written = writer.write(user).await;
        assert_eq!((a.warm(user).await, b.warm(user).await), (written, written), "round {rounds}");
        rounds += 1;
    }
    rounds
}

#[test]
fn when_sentinels_name_another_server_nothing_old_is_answered_and_it_is_used() {
    with_database(async |database| {
        let Some(mut primary) = RedisServer::start() else { return };
        let replica = primary.replica();
        let sentinel = primary.sentinel();
        let mut world = World::new(database, None, 500).await;
        world.redis.url =
            format!("redis+sentinel://127.0.0.1:{}/main", sentinel.address().port()).as_str().into();
        world.redis.connect_timeout_ms = 1_000;
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        in_use(&a, &b).await;
        let user = world.people(1).await[0];
        assert!(right(&a, &b, user, Duration::from_secs(1)).await > 5);
        // The sentinel must know the replica before the primary goes.
        let began = Instant::now();
        while !sentinel.ask("SENTINEL replicas main").contains(&replica.address().port().to_string()) {
            assert!(began.elapsed() < Duration::from_secs(30), "the sentinel knows no replica");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        primary.kill();
        let began = Instant::now();
        right(&a, &b, user, Duration::from_secs(3)).await;
        in_use(&a, &b).await;
        eprintln!("in use again {:?} after the kill", began.elapsed());
        assert!(right(&a, &b, user, Duration::from_secs(1)).await > 5);
        assert!(replica.ask("ROLE").contains("master"), "{}", replica.ask("ROLE"));
    });
}

#[test]
fn a_cluster_is_used_and_nothing_old_is_answered_when_one_of_it_goes() {
    with_database(async |database| {
        let Some(mut nodes) = RedisServer::cluster() else { return };
        let hosts: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
        let mut world = World::new(database, None, 500).await;
        world.redis.url = format!("redis+cluster://{}", hosts.join(",")).as_str().into();
        world.redis.connect_timeout_ms = 1_000;
        let (a, b) = (world.ready(Kind::Usual).await, world.ready(Kind::Usual).await);
        in_use(&a, &b).await;
        let people = world.people(10).await;
        for user in &people {
            a.warm(*user).await;
            let loads = world.loads();
            b.warm(*user).await;
            assert_eq!(world.loads(), loads + 1, "Redis has it, wherever in the cluster");
            right(&a, &b, *user, Duration::from_millis(100)).await;
        }
        let victim = nodes.last_mut().unwrap();
        victim.kill();
        for user in &people {
            right(&a, &b, *user, Duration::from_millis(200)).await;
        }
        victim.start_again();
        in_use(&a, &b).await;
        for user in &people {
            right(&a, &b, *user, Duration::from_millis(50)).await;
        }
    });
}
