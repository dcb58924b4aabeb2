//! What the shapes cost and bring: the same requests to one process, to one, two and three replicas, and to four services.
//!
//! Everything shares one machine, so more replicas can't bring more here than the processors have left; what is to be
//! seen is what each hop costs. Each shape is started anew for each run, and is alone then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::asks::{self, UNLIMITED};
use crate::drive::{Load, Next, Outcome, drive, same};
use crate::fleet::Fleet;
use crate::house;
use crate::http::request;
use crate::people::{Person, administrator_at, people};
use crate::report::{self, median, rounded};
use crate::{Engine, Shape};

/// How long, and how often.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Seconds of one measurement of throughput; a step of the journey is measured for half of it.
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
    /// How often everything is measured; medians are told.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Connections where throughput is measured; a step of the journey has one.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// The binary to measure; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the tables into, between their marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// A shape, what it is called here, and how many replicas it has.
const SHAPES: [(&str, Shape, Engine, usize); 6] = [
    ("one process, SQLite", Shape::One, Engine::Sqlite, 1),
    ("one process, PostgreSQL", Shape::One, Engine::Postgres, 1),
    ("1 replica", Shape::Replicas, Engine::Postgres, 1),
    ("2 replicas", Shape::Replicas, Engine::Postgres, 2),
    ("3 replicas", Shape::Replicas, Engine::Postgres, 3),
    ("4 services", Shape::Services, Engine::Postgres, 1),
];

/// The shapes whose steps are told.
const STEPPED: [&str; 3] = ["one process, PostgreSQL", "2 replicas", "4 services"];

/// What was measured of one operation in one shape, once a run.
#[derive(Default)]
struct Seen {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    hops: Vec<f64>,
}

impl Seen {
    fn add(&mut self, outcome: &Outcome, hops: f64) {
        self.rate.push(outcome.rate());
        self.p50.push(outcome.milliseconds(0.5));
        self.p99.push(outcome.milliseconds(0.99));
        self.hops.push(hops);
    }
}

/// By shape and operation.
type Found = BTreeMap<(&'static str, &'static str), Seen>;

/// Measures and prints both tables; false when a server that is needed is not to be had, or something does not start.
#[must_use]
pub fn run(options: &Options) -> bool {
    match measure(options) {
        Ok(text) => {
            println!("{text}");
            if let Some(file) = &options.write {
                report::write(file, "shapes", &text);
            }
            true
        }
        Err(reason) => {
            eprintln!("bench: {reason}");
            false
        }
    }
}

fn measure(options: &Options) -> Result<String, String> {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let (mut throughput, mut steps) = (Found::new(), Found::new());
    for run in 1..=options.runs {
        for (name, shape, engine, replicas) in SHAPES {
            eprintln!("bench: {name}, run {run} of {}", options.runs);
            let town = Town::found(&binary, shape, engine, replicas)?;
            town.throughput(options, |what, outcome| {
                throughput.entry((name, what)).or_default().add(outcome, 0.0);
            });
            if STEPPED.contains(&name) {
                town.steps(options, |what, outcome, hops| {
                    steps.entry((name, what)).or_default().add(outcome, hops);
                });
            }
        }
    }
    Ok(text(options, &throughput, &steps))
}

/// A fleet with people in it.
struct Town {
    fleet: Fleet,
    root: Person,
    people: Vec<Person>,
}

impl Town {
    fn found(binary: &Path, shape: Shape, engine: Engine, replicas: usize) -> Result<Self, String> {
        let fleet = Fleet::start(binary, shape, engine, replicas, &UNLIMITED)?;
        let (address, link) = (fleet.address, fleet.setup_link());
        let (root, people) = crate::runtime().block_on(async {
            (administrator_at(address, &link).await, people(address, "person", 32).await)
        });
        Ok(Self { fleet, root, people })
    }

    fn ask(&self, seconds: f64, expected: u16, scripts: Vec<Next>) -> Outcome {
        let threads = scripts.len().min(2);
        let time = Duration::from_secs_f64(seconds);
        let load =
            Load { address: self.fleet.address, expected, time, threads, pause: Duration::from_millis(50) };
        drive(&load, scripts).0
    }

    fn throughput(&self, options: &Options, mut note: impl FnMut(&'static str, &Outcome)) {
        type Script = fn(&Person) -> Next;
        let all: [(&'static str, Script); 4] = [
            ("users/me", |person| same(asks::me(person))),
            ("evaluation", |person| same(asks::evaluation(person))),
            ("refresh", |person| asks::refreshes(&person.refresh_token)),
            ("login", |person| same(asks::login(person))),
        ];
        for (name, script) in all {
            let scripts = self.people.iter().cycle().take(options.connections).map(script).collect();
            note(name, &self.ask(options.seconds as f64, 200, scripts));
        }
    }

    /// Each step again and again over one connection, and how often services asked each other meanwhile.
    fn steps(&self, options: &Options, mut note: impl FnMut(&'static str, &Outcome, f64)) {
        // Not one of those whose refresh tokens were used above.
        let person = self.people.last().expect("people");
        let (root, id) = (Some(self.root.access_token.as_str()), &person.id);
        let as_root = |path: &str| same(request("GET", path, root, &[], None));
        let all: Vec<(&'static str, u16, Next)> = vec![
            ("registration", 202, asks::registrations(Arc::new(AtomicU64::new(0)))),
            ("login", 200, same(asks::login(person))),
            ("refresh", 200, asks::refreshes(&person.refresh_token)),
            ("users/me", 200, same(asks::me(person))),
            ("preferences changed", 200, asks::preferences(person)),
            ("sessions listed", 200, same(asks::get("/api/v1/auth/sessions", person))),
            ("evaluation", 200, same(asks::evaluation(person))),
            ("inbox read", 200, same(asks::get("/api/v1/inbox", person))),
            ("administrator: list of 20 people", 200, as_root("/api/v1/users?limit=20")),
            ("administrator: a person by id", 200, as_root(&format!("/api/v1/users/{id}"))),
            ("administrator: audit trail, newest 20", 200, as_root("/api/v1/audit-events?limit=20")),
        ];
        for (name, expected, script) in all {
            let before = self.fleet.asks();
            let outcome = self.ask(options.seconds as f64 / 2.0, expected, vec![script]);
            let hops = (self.fleet.asks() - before) / outcome.count().max(1) as f64;
            note(name, &outcome, hops);
        }
    }
}

fn text(options: &Options, throughput: &Found, steps: &Found) -> String {
    let Options { runs, seconds, connections, .. } = options;
    let mut text = format!(
        "{}. {runs} runs, medians; {connections} connections for {seconds} seconds each.\n\n",
        report::machine()
    );
    text.push_str("| answers a second | users/me | evaluation | refresh | login |\n|---|---|---|---|---|\n");
    for (shape, ..) in SHAPES {
        let rate = |what| throughput.get(&(shape, what)).map_or(f64::NAN, |seen| median(&seen.rate));
        let cells = ["users/me", "evaluation", "refresh", "login"].map(|what| rounded(rate(what)));
        text.push_str(&format!("| {shape} | {} |\n", cells.join(" | ")));
    }
    text.push_str("\nOne connection, p50 and p99 in milliseconds, and how often services ask each other for one request and \
                   for what its events cause:\n\n| step |");
    for shape in STEPPED {
        text.push_str(&format!(" {shape} |"));
    }
    text.push_str(" hops |\n|---|---|---|---|---|\n");
    let last = STEPPED[STEPPED.len() - 1];
    for (_, step) in steps.keys().filter(|(shape, _)| *shape == last) {
        text.push_str(&format!("| {step} |"));
        for shape in STEPPED {
            let cell = steps.get(&(shape, *step)).map_or_else(String::new, |seen| {
                format!("{} · {}", rounded(median(&seen.p50)), rounded(median(&seen.p99)))
            });
            text.push_str(&format!(" {cell} |"));
        }
        text.push_str(&format!(" {:.1} |\n", median(&steps[&(last, *step)].hops)));
    }
    text
}
