//! What a stopwatch tells about accounts: nothing.
//!
//! Logins of all kinds in turn, and statistics over how long they took. The hash is the real one: a shorter one would end
//! in the first step, and nobody would see it left out. A machine that does something else at the same time may fool it,
//! so it has to be fooled three times.

use crate::store::sql;
use crate::world::{LOGINS, OTHER_PASSWORD, PASSWORD, World};
use platform::db::Database;
use serde_json::json;
use std::time::{Duration, Instant};
use testkit::both_engines;

/// Logins of each kind in a row of measurements.
const EACH: usize = 400;

/// What nobody may be able to tell from the first one, in microseconds.
const VISIBLE: f64 = 2_000.0;

/// Refused with 401: a wrong password, nobody's address, switched off, not proven, without a password, deleted. All
/// are of one length, because reading a longer one takes longer.
const REFUSED: [&str; 6] = [
    "mia@example.test",
    "xyz@example.test",
    "off@example.test",
    "new@example.test",
    "nil@example.test",
    "del@example.test",
];

/// Refused with 429 after too many failures from here: somebody's address and nobody's.
const LOCKED_HERE: [&str; 2] = ["mia@example.test", "xyz@example.test"];

/// Refused with 429 after too many failures from everywhere: of somebody who is logged in, and nobody.
const LOCKED: [&str; 2] = ["tom@example.test", "uvw@example.test"];

/// How long each login of each kind took, in microseconds.
async fn measure(world: &World, kinds: &[&str], problem: (u16, &str)) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); kinds.len()];
    for round in 0..EACH {
        for turn in 0..kinds.len() {
            // Not always in the same order, so that nobody always comes after the same one.
            let kind = (turn + round) % kinds.len();
            let reply = world.log_in(kinds[kind], OTHER_PASSWORD).await;
            times[kind].push(reply.took.as_secs_f64() * 1e6);
            reply.expect_problem(problem.0, problem.1);
        }
        if problem.0 == 401 {
            // As long as it takes to forget one failure, so that nobody is ever locked out.
            world.pass(90);
        }
    }
    times
}

/// Fails when three rows of measurements tell one of the kinds from the first one.
async fn assert_alike(world: &World, kinds: &[&str], problem: (u16, &str)) {
    let mut seen = Vec::new();
    for email in kinds {
        seen.push(world.log_in(email, OTHER_PASSWORD).await.expect_problem(problem.0, problem.1).seen());
    }
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:?}");
    let started = Instant::now();
    let mut found = Vec::new();
    for _ in 0..3 {
        let times = measure(world, kinds, problem).await;
        assert!(
            problem.0 == 429 || median(&times[0]) > VISIBLE,
            "no real hash was computed: {}",
            median(&times[0])
        );
        found = told(kinds, &times);
        if found.is_empty() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(150), "too slow a machine to tell: {found:?}");
    }
    panic!("{found:?}");
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The standardised U of Mann and Whitney: beyond 2.58 on either side has a chance of 1 in 100 when both are alike.
fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let larger: f64 = one
        .iter()
        .flat_map(|a| {
            other.iter().map(move |b| {
                if a > b {
                    1.0
                } else if a < b {
                    0.0
                } else {
                    0.5
                }
            })
        })
        .sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    (larger - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// What tells one kind from the first one.
fn told(kinds: &[&str], times: &[Vec<f64>]) -> Vec<String> {
    let least = |times: &[f64]| times.iter().copied().fold(f64::MAX, f64::min);
    let mut told = Vec::new();
    for (kind, others) in kinds.iter().zip(times).skip(1) {
        let (z, medians, minima) = (
            mann_whitney(&times[0], others),
            median(&times[0]) - median(others),
            least(&times[0]) - least(others),
        );
        if z.abs() > 2.58 || medians.abs() > VISIBLE || minima.abs() > VISIBLE {
            told.push(format!("{kind}: z {z:.2}, medians {medians:.0} µs and minima {minima:.0} µs apart"));
        }
    }
    told
}

/// Real hashes, one after the other.
fn real(settings: &mut auth::Settings) {
    settings.hash = auth::HashSettings::default();
    (settings.hash.threads, settings.hash.priority) = (1, auth::HashPriority::Normal);
}

both_engines! {
    async fn a_stopwatch_does_not_tell_who_has_an_account(db: Database) {
        let world = World::with(db, real).await;
        for email in ["mia@example.test", "off@example.test", "nil@example.test", "del@example.test"] {
            world.member(email).await;
        }
        world.register("new@example.test", PASSWORD).await.expect(202);
        for change in [
            "UPDATE auth_accounts SET state = 'disabled' WHERE email LIKE 'off@%'",
            "UPDATE auth_accounts SET state = 'deleted', deleted_at = created_at WHERE email LIKE 'del@%'",
            "DELETE FROM auth_credentials WHERE account_id = (SELECT id FROM auth_accounts WHERE email LIKE 'nil@%')",
        ] {
            sql(&world.db, change).await;
        }
        assert_alike(&world, &REFUSED, (401, "auth.invalid_credentials")).await;
    }

    async fn a_stopwatch_does_not_tell_whose_account_is_locked(db: Database) {
        let world = World::with(db, |it| {
            real(it);
            it.limits.login_failures_per_address = 12;
        }).await;
        for email in [LOCKED_HERE[0], LOCKED[0]] {
            world.member(email).await;
            // Of those there are traces that the lock looks for, and of nobody there are none.
            for device in ["desk", "couch", "train"] {
                world.log_in_from("192.0.2.1", device, email).await.expect(200);
            }
        }
        for n in 0..12 {
            for email in LOCKED {
                let body = json!({ "email": email, "password": OTHER_PASSWORD });
                world.post(LOGINS, &body).from(&format!("10.0.{n}.1")).send().await.expect(401);
            }
            for email in LOCKED_HERE.iter().filter(|_| n < 10) {
                world.log_in(email, OTHER_PASSWORD).await.expect(401);
            }
        }
        for locked in [LOCKED_HERE, LOCKED] {
            assert_alike(&world, &locked, (429, "auth.too_many_failures")).await;
        }
    }
}

#[test]
fn the_statistics_would_tell_a_tenth_of_a_millisecond() {
    let noise = |seed: usize| (seed * 7_919 % 1_000) as f64;
    let alike: Vec<Vec<f64>> = (0..REFUSED.len())
        .map(|kind| (0..EACH).map(|n| 20_000.0 + noise(n * 31 + kind * 17)).collect())
        .collect();
    assert_eq!(told(&REFUSED, &alike), Vec::<String>::new());
    let mut different = alike;
    different[3].iter_mut().for_each(|it| *it += 100.0);
    assert_eq!(told(&REFUSED, &different).len(), 1);
}
