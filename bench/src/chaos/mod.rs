//! Power cuts: under mixed load the process, one of several, or a server that they need is killed again and again; in the
//! end everything that was acknowledged must be there, once. Beside that, what should not even be noticed: restarts one
//! after the other (`rolling`), a module that moves into a service of its own (`moving`), and minutes without the broker
//! (`outage`).
//!
//! The clients keep a ledger outside of what is killed. `kill -9` does not take what the operating system holds, so
//! this shows that no acknowledgement comes before its commit and that a start after a crash repairs everything; that
//! commits reach the disk is shown elsewhere, by counting `fdatasync`.

mod actors;
mod audit;
mod ledger;
mod moving;
mod outage;
mod rolling;
mod sabotage;
mod sink;
mod stage;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom as _;

use crate::house;
use crate::report::{self, median};
use crate::{Engine, Shape};
pub use moving::take_out;
pub use outage::Outage;
pub use rolling::{Rolling, roll};
use stage::{Outcome, Row, Stage, table};

/// What is killed, and how often.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// How often.
    #[arg(long, default_value_t = 300)]
    pub kills: usize,
    /// One process: with `sqlite`, Doorward is killed; with `postgres`, the database, and Doorward must live on. Several:
    /// one of them, or one of the servers that they need.
    #[arg(long, value_enum, default_value = "one")]
    pub shape: Shape,
    /// Where one process, or each of the services, keeps its data. Replicas share a PostgreSQL.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub engine: Engine,
    /// The longest time between being healthy and the next kill, in milliseconds.
    #[arg(long, default_value_t = 1200)]
    pub most_ms: u64,
    /// Ends after so many minutes, however many kills there were by then.
    #[arg(long, default_value_t = 60)]
    pub minutes: u64,
    /// After the audit, damages the database in several ways, and fails unless every damage is found.
    #[arg(long)]
    pub sabotage: bool,
    /// The binary to kill; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the result into, between its marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// What a run of chaos found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong, each in a sentence with its entry of the ledger.
    pub violations: Vec<String>,
    /// How many writes were acknowledged.
    pub acknowledged: usize,
    /// Damages that were done on purpose and not found.
    pub overlooked: Vec<&'static str>,
    /// The first requests that got no answer or one that says to come back, each in a sentence.
    pub failed: Vec<String>,
    /// How many e-mails came twice.
    pub mails_doubled: usize,
    /// The result as a table.
    pub text: String,
}

/// Kills, audits, and prints what came of it; false when something is missing or double.
pub fn run(options: &Options) -> bool {
    let mark = match options.shape {
        Shape::One => options.engine.name(),
        Shape::Replicas => "Replicas",
        Shape::Services => "Services",
    };
    tell(torment(options), mark, options.write.as_deref())
}

/// Moves a module out and back, audits, and prints what came of it; false when a request failed.
#[must_use]
pub fn move_out_and_back(file: Option<&Path>) -> bool {
    tell(take_out(None), "Moving", file)
}

/// Prints what came of it, and writes it between the marks when all is well.
fn tell(findings: Result<Findings, String>, mark: &str, file: Option<&Path>) -> bool {
    let findings = match findings {
        Ok(findings) => findings,
        Err(reason) => {
            eprintln!("chaos: {reason}");
            return false;
        }
    };
    println!("{}", findings.text);
    for violation in findings.violations.iter().take(50) {
        println!("VIOLATION: {violation}");
    }
    for damage in &findings.overlooked {
        println!("OVERLOOKED: {damage}");
    }
    let well = findings.violations.is_empty() && findings.overlooked.is_empty();
    if let (Some(file), true) = (file, well) {
        report::write(file, mark, &findings.text);
    }
    well
}

/// How long it took until everything was healthy: since the kill, and since what was killed is back.
struct Recovery {
    all: Duration,
    after: Duration,
}

/// Runs the whole story.
///
/// # Errors
/// When there is no server to be had that is needed, or Doorward ends or stays unhealthy.
pub fn torment(options: &Options) -> Result<Findings, String> {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let mut stage = Stage::open(&binary, options.shape, options.engine, &[])?;
    let mut recoveries: BTreeMap<String, Vec<Recovery>> = BTreeMap::new();
    // Everybody's turn comes, and nobody knows when.
    let mut deck = Vec::new();
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    for kill in (0..options.kills).take_while(|_| Instant::now() < end) {
        thread::sleep(Duration::from_millis(rand::random_range(100..options.most_ms.max(101))));
        if deck.is_empty() {
            deck = stage.fleet.victims();
            deck.shuffle(&mut rand::rng());
        }
        let Some(victim) = deck.pop() else { break };
        stage.fleet.kill(victim);
        let killed = Instant::now();
        stage.fleet.start_again(victim);
        let back = Instant::now();
        stage.fleet.wait_healthy()?;
        let recovery = Recovery { all: killed.elapsed(), after: back.elapsed() };
        recoveries.entry(stage.fleet.name(victim).to_owned()).or_default().push(recovery);
        if (kill + 1) % 25 == 0 {
            eprintln!("chaos: {} kills, {} writes acknowledged", kill + 1, stage.ledger.len());
        }
    }
    let outcome = stage.close(options.sabotage);
    let text = text(options, &outcome, &recoveries);
    Ok(Findings::of(outcome, text))
}

impl Findings {
    fn of(outcome: Outcome, text: String) -> Self {
        let Outcome { violations, overlooked, entries, seen, counted, .. } = outcome;
        Self {
            violations,
            acknowledged: entries.len(),
            overlooked,
            failed: seen.failed,
            mails_doubled: counted.mails_doubled,
            text,
        }
    }
}

fn text(options: &Options, outcome: &Outcome, recoveries: &BTreeMap<String, Vec<Recovery>>) -> String {
    let killed = match (options.shape, options.engine) {
        (Shape::One, Engine::Sqlite) => "Doorward, on SQLite".to_owned(),
        (Shape::One, Engine::Postgres) => "PostgreSQL with all its processes; Doorward lives on".to_owned(),
        _ => {
            let each = recoveries.iter().map(|(name, all)| format!("{name} {}", all.len()));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let kills: usize = recoveries.values().map(Vec::len).sum();
    let mut rows: Vec<Row> = vec![("killed with `kill -9`".to_owned(), format!("{kills} times: {killed}"))];
    rows.extend(outcome.load());
    rows.extend(outcome.result());
    let mut times = |what: String, times: Vec<f64>| {
        let most = times.iter().copied().fold(0.0, f64::max);
        rows.push((what, format!("{:.0} ms (p50), {most:.0} ms (longest)", median(&times))));
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    for (name, all) in recoveries {
        let of = match options.shape {
            Shape::One => "from the kill until".to_owned(),
            _ => format!("{name}: from the kill until all is"),
        };
        times(format!("{of} healthy again"), all.iter().map(|it| milliseconds(it.all)).collect());
        if options.engine == Engine::Postgres || options.shape != Shape::One {
            let after = all.iter().map(|it| milliseconds(it.after)).collect();
            times(format!("from {name} being back until healthy again"), after);
        }
    }
    table(rows)
}
