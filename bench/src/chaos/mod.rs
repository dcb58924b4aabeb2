//! Power cuts: under mixed load the process, or its database, is killed again and again; in the end everything that
//! was acknowledged must be there, once.
//!
//! The clients keep a ledger outside of what is killed. `kill -9` does not take what the operating system holds, so
//! this shows that no acknowledgement comes before its commit and that a start after a crash repairs everything; that
//! commits reach the disk is shown elsewhere, by counting `fdatasync`.

mod actors;
mod audit;
mod ledger;
mod sabotage;
mod sink;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Engine;
use crate::folder::Folder;
use crate::house::{self, House};
use crate::http::Api;
use crate::people::{administrator, people};
use crate::report::{self, median};
use crate::services::Postgres;
use crate::sql::Sql;
use actors::Actors;
use ledger::Ledger;
use sink::Sink;

/// What is killed, and how often.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// How often.
    #[arg(long, default_value_t = 300)]
    pub kills: usize,
    /// With `sqlite`, Doorward is killed; with `postgres`, the database, and Doorward must live on.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub engine: Engine,
    /// The longest time between being healthy and the next kill, in milliseconds.
    #[arg(long, default_value_t = 1200)]
    pub most_ms: u64,
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
    /// The result as a table.
    pub text: String,
}

/// What was claimed by a process that is gone is claimed again after its lease: here after seconds, not a minute.
/// Mail goes to a server of ours.
const SETTINGS: [(&str, &str); 17] = [
    ("DOORWARD__LIMITS__LOGINS__PER_ADDRESS", "0"),
    ("DOORWARD__LIMITS__REGISTRATIONS__PER_ADDRESS", "0"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__EMAIL", "1000000"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__EMAIL_SECURITY", "1000000"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__INBOX", "1000000"),
    ("DOORWARD__OUTBOX__DEADLINE_MS", "1000"),
    ("DOORWARD__OUTBOX__LEASE_MS", "3000"),
    ("DOORWARD__BUS__DEADLINE_MS", "2000"),
    ("DOORWARD__BUS__LEASE_MS", "3000"),
    ("DOORWARD__BUS__MAX_ATTEMPTS", "1000"),
    ("DOORWARD__BUS__BACKOFF_MAX_MS", "2000"),
    ("DOORWARD__NOTIFICATIONS__SEND_TIMEOUT_MS", "2000"),
    ("DOORWARD__NOTIFICATIONS__RETRY_BASE_MS", "500"),
    ("DOORWARD__NOTIFICATIONS__RETRY_MAX_MS", "1000"),
    ("DOORWARD__AUTH__TOKENS__ACCESS_SECONDS", "3600"),
    ("DOORWARD__AUTH__TOKENS__GRACE_SECONDS", "5"),
    ("DOORWARD__AUTH__LIMITS__REGISTRATIONS_PER_NETWORK", "1000000"),
];

/// Kills, audits, and prints what came of it; false when something is missing or double.
pub fn run(options: &Options) -> bool {
    let findings = match torment(options) {
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
    if let (Some(file), true) = (&options.write, well) {
        report::write(file, options.engine.name(), &findings.text);
    }
    well
}

/// How long it took until it was healthy: since the kill, and since what was killed is back.
struct Recovery {
    all: Duration,
    after: Duration,
}

struct Victim {
    house: House,
    postgres: Option<Postgres>,
}

impl Victim {
    fn sql(&self) -> Sql {
        match &self.postgres {
            Some(postgres) => Sql::postgres(&postgres.url),
            None => Sql::sqlite(&self.house.file()),
        }
    }

    fn kill(&mut self) {
        match &self.postgres {
            Some(postgres) => postgres.kill(),
            None => self.house.kill(),
        }
    }

    fn start_again(&mut self) {
        match &self.postgres {
            Some(postgres) => postgres.start_again(),
            None => {
                self.house.empty_log();
                self.house.start();
            }
        }
    }

    /// Waits until it says that it is ready.
    fn wait_healthy(&mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if !self.house.lives() {
                return Err(format!("Doorward ended by itself:\n{}", self.house.log()));
            }
            let mut api = Api::new(self.house.public, None);
            if runtime.block_on(api.get("/readyz")).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("it was not healthy within a minute:\n{}", self.house.log()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs the whole story.
///
/// # Errors
/// When there is no PostgreSQL to be had, or Doorward ends or stays unhealthy.
pub fn torment(options: &Options) -> Result<Findings, String> {
    let runtime = crate::runtime();
    let folder = Folder::new("chaos");
    let sink = runtime.block_on(Sink::start());
    let postgres = match options.engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Postgres::start()?),
    };
    let smtp = sink.url();
    let mut settings = SETTINGS.to_vec();
    settings.push(("DOORWARD__SMTP__URL", &smtp));
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let house = House::new(&binary, postgres.as_ref().map(|postgres| postgres.url.as_str()), &settings);
    let mut victim = Victim { house, postgres };
    victim.house.start();
    let address = victim.house.public;
    let (root, people) = runtime.block_on(async {
        let root = administrator(&victim.house).await;
        (root, people(address, "person", actors::PEOPLE).await)
    });
    let ledger = Arc::new(Ledger::open(&folder.path().join("ledger")));
    let actors = Actors::start(&runtime, address, Arc::clone(&ledger), root, &people);

    let (mut recoveries, loaded) = (Vec::new(), Instant::now());
    for kill in 0..options.kills {
        thread::sleep(Duration::from_millis(rand::random_range(100..options.most_ms.max(101))));
        victim.kill();
        let killed = Instant::now();
        victim.start_again();
        let back = Instant::now();
        victim.wait_healthy()?;
        recoveries.push(Recovery { all: killed.elapsed(), after: back.elapsed() });
        if (kill + 1) % 25 == 0 {
            eprintln!("chaos: {} kills, {} writes acknowledged", kill + 1, ledger.len());
        }
    }
    thread::sleep(Duration::from_millis(300));
    let seen = runtime.block_on(actors.stop());
    let under_load = loaded.elapsed();
    let entries = ledger.close();
    let mut findings = Findings { acknowledged: entries.len(), ..Findings::default() };
    findings.violations.extend(seen.wrong.iter().cloned());
    let mut sql = victim.sql();
    if let Err(reason) = audit::wait_settled(&mut sql) {
        findings.violations.push(reason);
    }
    let audited = audit::tables(&mut sql, &entries, &people, &sink);
    findings.violations.extend(audited.violations);
    findings.violations.extend(audit::integrity(&mut sql));
    if victim.house.logged("panicked") > 0 || victim.house.logged("A panic at") > 0 {
        findings.violations.push("there is a panic in the log".to_owned());
    }
    if options.sabotage {
        findings.overlooked = sabotage::try_all(&mut sql, &entries, &people, &sink);
    }
    // The last, because it uses tokens up and ends sessions.
    findings.violations.extend(runtime.block_on(tokens::check(address, &entries)));
    findings.text = text(options, &findings, &entries, &seen, &audited.counted, &recoveries, under_load);
    victim.house.stop();
    Ok(findings)
}

fn text(
    options: &Options,
    findings: &Findings,
    entries: &[ledger::Entry],
    seen: &actors::Seen,
    counted: &audit::Counted,
    recoveries: &[Recovery],
    under_load: Duration,
) -> String {
    let killed = match options.engine {
        Engine::Sqlite => "Doorward, on SQLite",
        Engine::Postgres => "PostgreSQL with all its processes; Doorward lives on",
    };
    let mut rows = vec![
        ("killed with `kill -9`".to_owned(), format!("{} times: {killed}", options.kills)),
        ("under load for".to_owned(), format!("{} s", under_load.as_secs())),
        ("writes acknowledged".to_owned(), findings.acknowledged.to_string()),
    ];
    for (kind, count) in ledger::kinds(entries) {
        rows.push((format!("… {kind}"), count.to_string()));
    }
    let wrong = findings.violations.len();
    rows.extend([
        (
            "requests without an answer, or answered 503".to_owned(),
            format!("{} and {}", seen.unanswered, seen.refused),
        ),
        ("**acknowledged and missing, doubled, or half-written**".to_owned(), format!("**{wrong}**")),
        ("events, each delivered to every subscriber".to_owned(), counted.events.to_string()),
        (
            "messages in the mailbox (takes each only once): doubled".to_owned(),
            format!("{}: {}", counted.mailbox, counted.mailbox_doubled),
        ),
        (
            "e-mails at a mail server: doubled".to_owned(),
            format!("{}: {}", counted.mails, counted.mails_doubled),
        ),
    ]);
    let mut times = |what: &str, times: Vec<f64>| {
        let most = times.iter().copied().fold(0.0, f64::max);
        rows.push((what.to_owned(), format!("{:.0} ms (p50), {most:.0} ms (longest)", median(&times))));
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    times("from the kill until healthy again", recoveries.iter().map(|it| milliseconds(it.all)).collect());
    if options.engine == Engine::Postgres {
        let after = recoveries.iter().map(|it| milliseconds(it.after)).collect();
        times("from PostgreSQL being back until healthy again", after);
    }
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text
}
