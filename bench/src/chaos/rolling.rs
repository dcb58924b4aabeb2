//! Rolling restarts: two replicas behind HAProxy are stopped and started one after the other under load, round after round.
//! Nobody may notice: every request is answered, none with 503.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::stage::{Stage, table};
use super::{Findings, tell};
use crate::fleet::Fleet;
use crate::house::{self, House};
use crate::report::median;
use crate::{Engine, Shape};

/// How often.
#[derive(clap::Args, Clone, Debug)]
pub struct Rolling {
    /// How often each of the replicas is restarted.
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// The binary to restart; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the result into, between its marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// For how long a process goes on after it has said that it is not ready any more, in seconds: HAProxy asks every second and
/// believes the second answer. One more, because everything here shares two cores, and one for luck.
const DRAIN: &str = "4";

/// Where nothing is killed a mail server gets its time: an answer that came too late would be a mail that comes twice.
pub(super) const GENTLE: [(&str, &str); 2] =
    [("DOORWARD__SERVER__DRAIN_SECONDS", DRAIN), ("DOORWARD__NOTIFICATIONS__SEND_TIMEOUT_MS", "20000")];

impl Rolling {
    /// Restarts, audits, and prints what came of it; false when a request failed, or something is missing or double.
    #[must_use]
    pub fn run(&self) -> bool {
        tell(roll(self), "Rolling", self.write.as_deref())
    }
}

/// Runs the whole story. A request that failed is a violation.
///
/// # Errors
/// When there is no server to be had that is needed, or Doorward does not come back.
pub fn roll(options: &Rolling) -> Result<Findings, String> {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let mut stage = Stage::open(&binary, Shape::Replicas, Engine::Postgres, &GENTLE)?;
    let mut times = Vec::new();
    for round in 0..options.rounds {
        for at in 0..stage.fleet.members.len() {
            let begun = Instant::now();
            restart(&mut stage.fleet, at, |_| {})?;
            times.push(begun.elapsed().as_secs_f64());
        }
        eprintln!("rolling: {} rounds, {} writes acknowledged", round + 1, stage.ledger.len());
    }
    let mut outcome = stage.close(false);
    let failed = outcome.seen.unanswered + outcome.seen.refused;
    outcome.violations.extend(outcome.seen.failed.iter().map(|what| format!("a request failed: {what}")));
    let mut rows = vec![(
        "restarted under load".to_owned(),
        format!("{} times: each of two replicas, one after the other", times.len()),
    )];
    rows.extend(outcome.load());
    rows.push(("**requests that failed**".to_owned(), format!("**{failed}**")));
    rows.extend(outcome.result());
    rows.push((
        format!(
            "a restart, from SIGTERM until the proxy uses it again ({DRAIN} s of it `server.drain_seconds`)"
        ),
        format!(
            "{:.1} s (p50), {:.1} s (longest)",
            median(&times),
            times.iter().copied().fold(0.0, f64::max)
        ),
    ));
    Ok(Findings::of(outcome, table(rows)))
}

/// Stops a process as an orchestrator does, and starts it again with other settings; returns when the proxy uses it.
///
/// # Errors
/// When it does not come back.
pub(super) fn restart(fleet: &mut Fleet, at: usize, change: impl FnOnce(&mut House)) -> Result<(), String> {
    let house = &mut fleet.members[at].house;
    house.stop();
    change(house);
    house.start();
    fleet.wait_healthy()?;
    let end = Instant::now() + Duration::from_secs(30);
    while fleet.requests(at) < 1.0 {
        if Instant::now() > end {
            return Err(format!("the proxy does not use {} any more", fleet.members[at].name));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
