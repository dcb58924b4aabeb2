//! The broker is away, not for a moment but for minutes, while the clients go on: no request may notice, and what has piled
//! up by then gets where it belongs, once.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::rolling::GENTLE;
use super::stage::{Stage, table};
use super::{Findings, tell};
use crate::fleet::Victim;
use crate::house;
use crate::services::Service;
use crate::{Engine, Shape};

/// For how long.
#[derive(clap::Args, Clone, Debug)]
pub struct Outage {
    /// Seconds without the broker.
    #[arg(long, default_value_t = 600)]
    pub seconds: u64,
    /// Which shape is without its broker.
    #[arg(long, value_enum, default_value = "replicas")]
    pub shape: Shape,
    /// The binary to run; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the result into, between its marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

impl Outage {
    /// Runs, audits, and prints what came of it; false when a request failed, or something is missing or double.
    #[must_use]
    pub fn run(&self) -> bool {
        tell(without_broker(self), "Outage", self.write.as_deref())
    }
}

/// Runs the whole story. A request that failed is a violation.
///
/// # Errors
/// When there is no server to be had that is needed, or Doorward does not come back.
fn without_broker(options: &Outage) -> Result<Findings, String> {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let mut stage = Stage::open(&binary, options.shape, Engine::Postgres, &GENTLE)?;
    thread::sleep(Duration::from_secs(2));
    let broker = Victim::Server(Service::Rabbitmq);
    let before = stage.ledger.len();
    stage.fleet.kill(broker);
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(options.seconds) {
        thread::sleep(Duration::from_secs(1));
        if gone.elapsed().as_secs().is_multiple_of(60) {
            eprintln!("outage: {} s, {} writes acknowledged", gone.elapsed().as_secs(), stage.ledger.len());
        }
    }
    let written = stage.ledger.len() - before;
    let waiting = |stage: &Stage| {
        stage.fleet.books().number("count(*)", "FROM platform_outbox WHERE status = 'pending'")
    };
    let piled_up = waiting(&stage);
    stage.fleet.start_again(broker);
    let back = Instant::now();
    // The clients go on meanwhile: a few events are always on their way.
    while waiting(&stage) > 50 {
        if back.elapsed() > Duration::from_secs(600) {
            return Err(format!("ten minutes later, {} events still wait", waiting(&stage)));
        }
        thread::sleep(Duration::from_millis(200));
    }
    let drained = back.elapsed();
    stage.fleet.wait_healthy()?;
    let mut outcome = stage.close(false);
    let failed = outcome.seen.unanswered + outcome.seen.refused;
    outcome.violations.extend(outcome.seen.failed.iter().map(|what| format!("a request failed: {what}")));
    let mut rows = vec![
        ("without RabbitMQ for".to_owned(), format!("{} s", options.seconds)),
        ("writes acknowledged meanwhile".to_owned(), written.to_string()),
        ("events that had piled up".to_owned(), piled_up.to_string()),
        (
            "all of them handed over after RabbitMQ was back, under load, in".to_owned(),
            format!("{:.1} s", drained.as_secs_f64()),
        ),
    ];
    rows.extend(outcome.load());
    rows.push(("**requests that failed**".to_owned(), format!("**{failed}**")));
    rows.extend(outcome.result());
    Ok(Findings::of(outcome, table(rows)))
}
