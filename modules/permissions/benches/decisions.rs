//! How long a decision about a hot user takes, in this process: mean and 99th percentile, in nanoseconds.
//!
//! `DOORWARD_BENCH_ASSIGNMENTS` says how many assignments there are (10 000 unless it is set); a thousand users are hot.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark"
)]

use contracts::permissions::{AssignRole, Evaluate, Permissions as _, Subject};
use contracts::{Caller, UserId};
use permissions::{MIGRATIONS, Service, Settings};
use platform::cache;
use platform::clock::Clock;
use std::hint::black_box;
use std::time::Instant;
use testkit::databases::{Engine, run};

const HOT: usize = 1_000;
const ROUNDS: usize = 200;

#[expect(clippy::disallowed_methods, reason = "a bench is told by its environment how much")]
fn main() {
    let wanted = std::env::var("DOORWARD_BENCH_ASSIGNMENTS").ok().and_then(|text| text.parse().ok());
    run(Engine::Sqlite, &[platform::MIGRATIONS, MIGRATIONS], async |database| {
        let db = platform::db::Database::from(database);
        let service = Service::new(
            db,
            Clock::system(),
            Settings::default(),
            &cache::Caches::alone(&cache::Settings::default()),
        );
        let caller = Caller::module("bench");
        let mut users = vec![];
        for _ in 0..wanted.unwrap_or(10_000_usize).max(HOT) {
            let user = UserId::new();
            let role = "member".to_owned();
            let ask = AssignRole { subject: Subject::user(user), role, resource: None, expires_at: None };
            service.assign_role(&caller, ask).await.unwrap();
            users.push(user);
        }
        let step = users.len() / HOT;
        let asks: Vec<Evaluate> = users
            .iter()
            .step_by(step)
            .take(HOT)
            .map(|user| Evaluate {
                subject: Subject::user(*user),
                action: "read".to_owned(),
                resource_type: "user".to_owned(),
                resource_id: Some(user.to_string()),
                resource_properties: serde_json::Map::new(),
            })
            .collect();
        let mut times = Vec::with_capacity(HOT * ROUNDS);
        let mut total = 0;
        for round in 0..ROUNDS {
            for ask in &asks {
                let ask = ask.clone();
                let begun = Instant::now();
                let decision = service.evaluate(&caller, ask).await.unwrap();
                let took = begun.elapsed().as_nanos();
                assert!(black_box(decision).allowed);
                if round > 4 {
                    total += took;
                    times.push(took);
                }
            }
        }
        times.sort_unstable();
        let mean = total / times.len() as u128;
        println!(
            "decisions: mean {mean} ns, p99 {} ns, {} of them",
            times[times.len() * 99 / 100],
            times.len()
        );
    });
}
