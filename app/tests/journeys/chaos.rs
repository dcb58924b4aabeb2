//! Chaos in short: a few kills under mixed load and the whole audit of `./dev chaos`, which must also find every
//! damage that is done on purpose. And what nobody may notice: replicas that are restarted one after the other.

use std::path::PathBuf;

use bench::chaos::{Findings, Options, Rolling, roll, torment};
use bench::{Engine, Shape};

use crate::plan::installed;

/// Whether there may be such servers: those of this test are its own, which it kills.
fn may_start(variables: &[&str]) -> bool {
    let missing = variables.iter().find(|name| std::env::var_os(name).is_none());
    if let Some(name) = missing {
        let service = name.trim_start_matches("DOORWARD_TEST_").trim_end_matches("_URL");
        let required = std::env::var(format!("DOORWARD_TEST_REQUIRE_{service}")).is_ok_and(|it| it == "1");
        assert!(!required, "{name} is not set, and DOORWARD_TEST_REQUIRE_{service} is 1");
        eprintln!("skipped: {name} is not set, so there may be no such server to kill");
    }
    missing.is_none()
}

fn binary() -> Option<PathBuf> {
    Some(PathBuf::from(env!("CARGO_BIN_EXE_doorward")))
}

fn a_few_kills(shape: Shape, engine: Engine, kills: usize) {
    let options = Options {
        kills,
        shape,
        engine,
        most_ms: 600,
        minutes: 60,
        sabotage: true,
        doorward: binary(),
        write: None,
    };
    let found = torment(&options).unwrap();
    eprintln!("{}", found.text);
    well(&found);
    assert_eq!(found.overlooked, Vec::<&str>::new(), "damage that the audit did not find");
}

fn well(found: &Findings) {
    assert_eq!(found.violations, Vec::<String>::new());
    assert!(found.acknowledged > 100, "{}", found.text);
}

const POSTGRES: &str = "DOORWARD_TEST_POSTGRES_URL";
const REDIS: &str = "DOORWARD_TEST_REDIS_URL";
const RABBITMQ: &str = "DOORWARD_TEST_RABBITMQ_URL";

#[test]
fn nothing_acknowledged_is_missing_when_doorward_is_killed_under_load() {
    a_few_kills(Shape::One, Engine::Sqlite, 6);
}

#[test]
fn nothing_acknowledged_is_missing_when_postgresql_is_killed_under_load() {
    if may_start(&[POSTGRES]) {
        a_few_kills(Shape::One, Engine::Postgres, 6);
    }
}

/// Five kills: each replica, PostgreSQL, Redis and RabbitMQ, in any order.
#[test]
fn nothing_acknowledged_is_missing_when_replicas_and_their_servers_are_killed_under_load() {
    if may_start(&[POSTGRES, REDIS, RABBITMQ]) && installed("haproxy") {
        a_few_kills(Shape::Replicas, Engine::Postgres, 5);
    }
}

/// Five kills: each service, and RabbitMQ.
#[test]
fn nothing_acknowledged_is_missing_when_services_and_their_broker_are_killed_under_load() {
    if may_start(&[RABBITMQ]) && installed("haproxy") {
        a_few_kills(Shape::Services, Engine::Sqlite, 5);
    }
}

/// Twice; `DOORWARD_TEST_ROLLS` says how often, and `./dev bench rolling` does it twenty times.
#[test]
fn nobody_notices_that_replicas_are_restarted_one_after_the_other() {
    if may_start(&[POSTGRES, REDIS, RABBITMQ]) && installed("haproxy") {
        let rounds = std::env::var("DOORWARD_TEST_ROLLS").map_or(2, |rounds| rounds.parse().unwrap());
        let found = roll(&Rolling { rounds, doorward: binary(), write: None }).unwrap();
        eprintln!("{}", found.text);
        well(&found);
    }
}
