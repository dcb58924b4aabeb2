//! Chaos in short: a few kills under mixed load and the whole audit of `./dev chaos`, which must also find every
//! damage that is done on purpose.

use std::path::PathBuf;

use bench::Engine;
use bench::chaos::{Options, torment};

fn a_few_kills(engine: Engine) {
    let options = Options {
        kills: 6,
        engine,
        most_ms: 600,
        sabotage: true,
        doorward: Some(PathBuf::from(env!("CARGO_BIN_EXE_doorward"))),
        write: None,
    };
    if engine == Engine::Postgres && std::env::var_os("DOORWARD_TEST_POSTGRES_URL").is_none() {
        eprintln!("skipped: DOORWARD_TEST_POSTGRES_URL is not set, so there may be no PostgreSQL to kill");
        return;
    }
    let found = torment(&options).unwrap();
    eprintln!("{}", found.text);
    assert_eq!(found.violations, Vec::<String>::new());
    assert_eq!(found.overlooked, Vec::<&str>::new(), "damage that the audit did not find");
    assert!(found.acknowledged > 100, "{}", found.text);
}

#[test]
fn nothing_acknowledged_is_missing_when_doorward_is_killed_under_load() {
    a_few_kills(Engine::Sqlite);
}

#[test]
fn nothing_acknowledged_is_missing_when_postgresql_is_killed_under_load() {
    a_few_kills(Engine::Postgres);
}
