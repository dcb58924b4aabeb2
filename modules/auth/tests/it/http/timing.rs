//! What a stopwatch tells about accounts: nothing.
//!
//! Real Argon2 parameters, logins of all kinds in turn, and statistics over how long they took. A machine that does
//! something else at the same time may fool it, so it has to be fooled three times.

use crate::store::sql;
use crate::world::{OTHER_PASSWORD, PASSWORD, World};
use platform::db::Database;
use std::time::{Duration, Instant};
use testkit::both_engines;

/// Logins of each kind in a row of measurements.
const EACH: usize = 80;

const KINDS: [&str; 5] =
    ["mia@example.test", "nobody@example.test", "off@example.test", "new@example.test", "empty@example.test"];

/// How long each login of each kind took, in microseconds.
async fn measure(world: &World) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); KINDS.len()];
    for round in 0..EACH {
        for turn in 0..KINDS.len() {
            // Not always in the same order, so that nobody always comes after the same one.
            let kind = (turn + round) % KINDS.len();
            let started = Instant::now();
            let reply = world.log_in(KINDS[kind], OTHER_PASSWORD).await;
            times[kind].push(started.elapsed().as_secs_f64() * 1e6);
            reply.expect_problem(401, "auth.invalid_credentials");
        }
    }
    times
}

/// The value that so many in a hundred of the times are below.
fn quantile(times: &[f64], part: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() * part / 100]
}

fn median(times: &[f64]) -> f64 {
    quantile(times, 50)
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
fn told(times: &[Vec<f64>]) -> Vec<String> {
    let least = |times: &[f64]| times.iter().copied().fold(f64::MAX, f64::min);
    let noise = quantile(&times[0], 75) - quantile(&times[0], 25);
    let visible = noise.max(2_000.0);
    let mut told = Vec::new();
    for (kind, others) in KINDS.iter().zip(times).skip(1) {
        let (z, medians, minima) = (
            mann_whitney(&times[0], others),
            median(&times[0]) - median(others),
            least(&times[0]) - least(others),
        );
        if z.abs() > 2.58 || medians.abs() > visible || minima.abs() > visible {
            told.push(format!("{kind}: z {z:.2}, medians {medians:.0} µs and minima {minima:.0} µs apart"));
        }
    }
    told
}

both_engines! {
    async fn a_stopwatch_does_not_tell_who_has_an_account(db: Database) {
        let world = World::with(db, |it| {
            it.hash = auth::HashSettings::default();
            (it.hash.threads, it.hash.nice) = (1, 0);
            it.limits.login_failures_per_network = 1_000;
            it.limits.login_failures_per_address = 1_000;
        }).await;
        for email in ["mia@example.test", "off@example.test", "empty@example.test"] {
            world.member(email).await;
        }
        world.register("new@example.test", PASSWORD).await.expect(202);
        sql(&world.db, "UPDATE auth_accounts SET state = 'disabled' WHERE email = 'off@example.test'").await;
        let empty = "SELECT id FROM auth_accounts WHERE email = 'empty@example.test'";
        sql(&world.db, &format!("DELETE FROM auth_credentials WHERE account_id = ({empty})")).await;
        let mut seen = Vec::new();
        for email in KINDS {
            seen.push(world.log_in(email, OTHER_PASSWORD).await.seen());
        }
        assert!(seen.iter().all(|it| *it == seen[0]));
        let started = Instant::now();
        let mut found = Vec::new();
        for _ in 0..3 {
            let times = measure(&world).await;
            assert!(median(&times[0]) > 5_000.0, "no real hash was computed: {}", median(&times[0]));
            found = told(&times);
            if found.is_empty() {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "too slow a machine to tell: {found:?}");
        }
        panic!("{found:?}");
    }
}

#[test]
fn the_statistics_would_tell_half_a_millisecond() {
    let noise = |seed: usize| (seed * 7_919 % 1_000) as f64;
    let alike: Vec<Vec<f64>> =
        (0..5).map(|kind| (0..EACH).map(|n| 20_000.0 + noise(n * 31 + kind * 17)).collect()).collect();
    assert_eq!(told(&alike), Vec::<String>::new());
    let mut different = alike;
    different[3].iter_mut().for_each(|it| *it += 500.0);
    assert_eq!(told(&different).len(), 1);
}
