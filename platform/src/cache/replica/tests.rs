//! From which epoch on a connection is used, as a reader sees it. Each test has a Redis of its own.

use std::convert::Infallible;

use super::super::far::{Codec, Far};
use super::*;

fn epoch(number: i64) -> Epoch {
    Epoch { number, suspended: false, opened: 1 }
}

/// Gives the test a replica, and a connection that was not let in yet.
async fn with_a_connection(test: impl AsyncFnOnce(&Arc<Replica>, &Wire)) {
    let Some(server) = testkit::redis::RedisServer::start() else { return };
    let url = format!("redis://{}", server.address());
    let settings =
        crate::redis::Settings { url: url.as_str().into(), deadline_ms: 5_000, ..Default::default() };
    let redis = Redis::open(&settings).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let database = Database::open(&db::Settings { url: url.into(), ..Default::default() }).await.unwrap();
    let second = Duration::from_secs(1);
    let manners = Manners { lease: second, ttl: second * 60, keeps: true, tells: true };
    let seal = Seal::new(&crate::settings::MasterKey::generate().unwrap());
    let replica = Arc::new(Replica::new(manners, seal, database, Clock::system(), Some(redis.clone())));
    let story = async {
        let wire = loop {
            if let Some(wire) = redis.wire() {
                break wire;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        test(&replica, &wire).await;
    };
    tokio::select! {
        () = redis.run(CancellationToken::new()) => panic!("nobody keeps the connection"),
        done = tokio::time::timeout(second * 20, story) => done.expect("Redis answers in time"),
    }
}

fn numbers(replica: &Arc<Replica>) -> Far<i64, i64> {
    let codec = Codec {
        key: |key: &i64| key.to_be_bytes().to_vec(),
        read_key: |_: &[u8]| None,
        write: |value: &i64| Some(value.to_be_bytes().to_vec()),
        read: |text: &[u8]| text.try_into().ok().map(i64::from_be_bytes),
    };
    Far::new("numbers", Arc::clone(replica), codec)
}

/// What a reader of that epoch gets while the source has that number.
async fn read(numbers: &Far<i64, i64>, epoch: i64, source: i64) -> i64 {
    numbers.get_or_load(&7, epoch, async || Ok::<i64, Infallible>(source)).await.unwrap()
}

#[tokio::test]
async fn a_reader_whose_epoch_is_older_than_the_connection_asks_the_source() {
    with_a_connection(async |replica, wire| {
        let numbers = numbers(replica);
        assert!(replica.let_in(wire, epoch(4)));
        assert_eq!(read(&numbers, 4, 1).await, 1);
        assert_eq!(read(&numbers, 4, 2).await, 1, "Redis answers");
        // Redis was away meanwhile: nobody could take the 1 out when the change to 2 was acknowledged in epoch 4.
        assert!(replica.let_in(wire, epoch(5)));
        assert_eq!(read(&numbers, 4, 2).await, 2, "this is what was there before an acknowledged change");
        assert_eq!(read(&numbers, 5, 2).await, 2);
        assert_eq!(read(&numbers, 5, 3).await, 2, "Redis answers again");
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_puts_into_redis_is_not_believed() {
    with_a_connection(async |replica, wire| {
        let numbers = numbers(replica);
        assert!(replica.let_in(wire, epoch(4)));
        assert_eq!(read(&numbers, 4, 1).await, 1);
        let place = |key: i64| replica.far_key(4, "numbers", &key.to_be_bytes());
        let there: Vec<u8> = wire.call(redis::cmd("GET").arg(place(7))).await.unwrap();
        let mut changed = there.clone();
        *changed.last_mut().unwrap() = 9;
        let of_another = Seal::new(&crate::settings::MasterKey::generate().unwrap());
        let forged = [
            [b"v", &9_i64.to_be_bytes()[..]].concat(),
            [b"v", &[0; 32][..], &9_i64.to_be_bytes()].concat(),
            changed,
            of_another.seal(&place(7), &9_i64.to_be_bytes()),
            replica.seal.seal(&place(8), &9_i64.to_be_bytes()),
            b"v".to_vec(),
            Vec::new(),
        ];
        for value in forged {
            wire.call::<()>(redis::cmd("SET").arg(place(7)).arg(&value)).await.unwrap();
            assert_eq!(read(&numbers, 4, 2).await, 2, "{value:?}");
        }
        wire.call::<()>(redis::cmd("SET").arg(place(7)).arg(&there)).await.unwrap();
        assert_eq!(read(&numbers, 4, 2).await, 1, "it is ours");
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_for_no_epoch_that_was_known_without_it() {
    with_a_connection(async |replica, wire| {
        replica.lease_mut().note(epoch(8), Instant::now());
        assert!(!replica.let_in(wire, epoch(8)), "a change may have been heard in it");
        assert!(!replica.let_in(wire, epoch(7)), "another one was begun since");
        assert!(replica.wire(8).is_none());
        assert!(replica.let_in(wire, epoch(9)));
        let used: Vec<bool> = [8, 9, 10].map(|number| replica.wire(number).is_some()).into();
        assert_eq!(used, [false, true, true]);
    })
    .await;
}
