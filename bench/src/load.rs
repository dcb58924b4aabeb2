//! Throughput and latency of single operations, each beside the floor that was measured right before and after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::asks::{UNLIMITED, evaluation, login, me, refreshes, registrations};
use crate::drive::{Load, Next, Outcome, drive, same};
use crate::floors::{self, Bare};
use crate::house::{self, House};
use crate::http::request;
use crate::people::{Person, people};
use crate::report::{self, Line, median, rounded, spread};

/// What to measure, and how long.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How often everything is measured; medians are told.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Numbers of connections for what does not hash.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    pub connections: Vec<usize>,
    /// Threads of the client.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Only operations whose name holds this, and their floors.
    #[arg(long)]
    pub only: Option<String>,
    /// Also measures the floor and users/me with wrk, to compare the clients.
    #[arg(long)]
    pub compare_wrk: bool,
    /// The binary to measure; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the table into, between its marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// Measured rates, floors and ratios by (what, connections), one of each a run.
#[derive(Default)]
struct Series {
    rate: Vec<f64>,
    floor: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Series {
    fn add(&mut self, outcome: &Outcome, floor: f64) {
        self.rate.push(outcome.rate());
        self.floor.push(floor);
        self.p50.push(outcome.milliseconds(0.5));
        self.p99.push(outcome.milliseconds(0.99));
    }

    fn ratios(&self) -> Vec<f64> {
        self.rate.iter().zip(&self.floor).map(|(rate, floor)| rate / floor).collect()
    }
}

struct Bench<'a> {
    options: &'a Options,
    house: House,
    bare: Bare,
    people: Vec<Person>,
    /// The refresh token of each person, as of now.
    chains: Vec<String>,
    /// So that no address is registered twice.
    registered: Arc<AtomicU64>,
    series: BTreeMap<(&'static str, usize), Series>,
    idle: f64,
    /// Megabytes in a storm.
    storm: f64,
    /// Latency of refusals in milliseconds, p50, and how many of them said when to come back.
    refused: (f64, usize, usize),
}

/// Measures everything and prints a table.
pub fn run(options: &Options) {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let mut house = House::new(&binary, None, &UNLIMITED);
    house.start();
    let ready: Vec<f64> = (0..5)
        .map(|_| {
            house.stop();
            house.start().as_secs_f64() * 1000.0
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    let idle = house.memory();
    let people = crate::runtime().block_on(people(house.public, "person", 64));
    let chains = people.iter().map(|person| person.refresh_token.clone()).collect();
    let size = size_of_me(&house, &people[0]);
    let mut bench = Bench {
        options,
        house,
        bare: Bare::start(size),
        people,
        chains,
        registered: Arc::default(),
        series: BTreeMap::new(),
        idle,
        storm: 0.0,
        refused: (f64::NAN, 0, 0),
    };
    for run in 0..options.runs {
        eprintln!("bench: run {} of {}", run + 1, options.runs);
        bench.all();
    }
    if options.compare_wrk {
        bench.compare_wrk();
    }
    let megabytes = std::fs::metadata(&binary).unwrap().len() as f64 / 1e6;
    let text = bench.text(median(&ready), megabytes, size);
    println!("{text}");
    if let Some(file) = &options.write {
        report::write(file, "load", &text);
    }
}

fn size_of_me(house: &House, person: &Person) -> usize {
    crate::runtime().block_on(async {
        let request = me(person);
        crate::http::Connection::open(house.public)
            .await
            .unwrap()
            .exchange(&request)
            .await
            .unwrap()
            .body
            .len()
    })
}

impl Bench<'_> {
    fn wants(&self, name: &str) -> bool {
        self.options.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }

    fn load(&self, expected: u16) -> Load {
        Load {
            address: self.house.public,
            expected,
            time: self.time(),
            threads: self.options.threads,
            pause: Duration::from_millis(100),
        }
    }

    fn scripts(&self, count: usize, script: impl Fn(&Person) -> Vec<u8>) -> Vec<Next> {
        self.people.iter().cycle().take(count).map(|person| same(script(person))).collect()
    }

    fn bare(&self, connections: usize) -> f64 {
        let load = Load { address: self.bare.address, ..self.load(200) };
        let scripts = (0..connections).map(|_| same(request("GET", "/", None, &[], None))).collect();
        drive(&load, scripts).0.rate()
    }

    fn all(&mut self) {
        self.house.empty_log();
        for connections in self.options.connections.clone() {
            self.reads(connections);
            if self.wants("refresh") {
                self.refreshes(connections.min(64));
            }
        }
        if self.wants("login") {
            self.logins(4, "login");
            self.logins(64, "login");
        }
        if self.wants("registration") {
            self.logins(64, "registration");
        }
        if self.wants("storm") {
            self.storm();
            self.crowd();
        }
    }

    fn reads(&mut self, connections: usize) {
        type Script = fn(&Person) -> Vec<u8>;
        let jwks: Script = |_| request("GET", "/.well-known/jwks.json", None, &[], None);
        let reads: [(&'static str, Script); 3] =
            [("users/me", me), ("evaluation", evaluation), ("JWKS", jwks)];
        for (name, script) in reads {
            if !self.wants(name) {
                continue;
            }
            let before = self.bare(connections);
            let outcome = drive(&self.load(200), self.scripts(connections, script)).0;
            let floor = f64::midpoint(before, self.bare(connections));
            self.note(name, connections, &outcome, floor);
        }
    }

    fn refreshes(&mut self, connections: usize) {
        let before = floors::commits(self.time());
        let scripts = self.chains.iter().take(connections).map(|token| refreshes(token)).collect();
        let (outcome, mut scripts) = drive(&self.load(200), scripts);
        let floor = f64::midpoint(before, floors::commits(self.time()));
        self.note("refresh", connections, &outcome, floor);
        // The chains go on where they ended: new sessions for the next run.
        scripts.clear();
        let people = self.people.clone();
        let address = self.house.public;
        self.chains = crate::runtime().block_on(async {
            let mut chains = Vec::new();
            for person in people {
                chains.push(Person::log_in(address, &person.email, &person.password).await.refresh_token);
            }
            chains
        });
    }

    fn logins(&mut self, connections: usize, name: &'static str) {
        let before = floors::hashes(self.time());
        let outcome = match name {
            "login" => drive(&self.load(200), self.scripts(connections, login)).0,
            _ => {
                let scripts = (0..connections).map(|_| registrations(self.registered.clone())).collect();
                drive(&self.load(202), scripts).0
            }
        };
        let floor = f64::midpoint(before, floors::hashes(self.time()));
        self.note(name, connections, &outcome, floor);
    }

    /// Four connections read, first alone and then while 64 log in without pause.
    fn storm(&mut self) {
        // Whoever logged in as often as above has lost the sessions that he began with.
        let address = self.house.public;
        crate::runtime().block_on(async {
            for person in self.people.iter_mut().take(4) {
                *person = Person::log_in(address, &person.email, &person.password).await;
            }
        });
        let calm = drive(&self.load(200), self.scripts(4, me)).0;
        let (reads, logins) = (self.scripts(4, me), self.scripts(64, login));
        let over = AtomicBool::new(false);
        let (storm, most) = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut most = 0.0_f64;
                while !over.load(Ordering::Relaxed) {
                    most = most.max(self.house.memory());
                    thread::sleep(Duration::from_millis(50));
                }
                most
            });
            let longer = Load { time: self.time() + Duration::from_secs(1), ..self.load(200) };
            let logins = scope.spawn(move || drive(&longer, logins).0);
            thread::sleep(Duration::from_millis(500));
            let storm = drive(&self.load(200), reads).0;
            logins.join().unwrap();
            over.store(true, Ordering::Relaxed);
            (storm, watcher.join().unwrap())
        });
        self.storm = self.storm.max(most);
        self.note("users/me, calm", 4, &calm, calm.rate());
        self.note("users/me in a storm", 4, &storm, calm.rate());
    }

    /// More registrations at once than the queue of the hashing threads holds.
    fn crowd(&mut self) {
        let scripts = (0..300).map(|_| registrations(self.registered.clone())).collect();
        let load = Load { time: self.time().min(Duration::from_secs(5)), ..self.load(202) };
        let crowd = drive(&load, scripts).0;
        self.refused = (crowd.refused_milliseconds(0.5), crowd.refusals(), crowd.told_when);
    }

    fn note(&mut self, name: &'static str, connections: usize, outcome: &Outcome, floor: f64) {
        eprintln!(
            "bench: {name}, {connections} connections: {} /s, p50 {:.2} ms, p99 {:.2} ms; beside it {} /s: {:.2}",
            rounded(outcome.rate()),
            outcome.milliseconds(0.5),
            outcome.milliseconds(0.99),
            rounded(floor),
            outcome.rate() / floor,
        );
        self.series.entry((name, connections)).or_default().add(outcome, floor);
    }

    fn compare_wrk(&self) {
        for connections in &self.options.connections {
            let ours = self.bare(*connections);
            let me = drive(&self.load(200), self.scripts(*connections, me)).0.rate();
            let token = format!("authorization: Bearer {}", self.people[0].access_token);
            let wrk = |url: String| {
                let (c, d) = (format!("-c{connections}"), format!("-d{}", self.options.seconds));
                let out = Command::new("wrk").args(["-t2", &c, &d, "-H", &token, &url]).output();
                let text =
                    out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
                line.and_then(|number| number.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
            };
            let bare = wrk(format!("http://{}/", self.bare.address));
            let wrk_me = wrk(format!("http://{}/api/v1/users/me", self.house.public));
            eprintln!(
                "bench: {connections} connections, own client / wrk: bare {ours:.0} / {bare:.0}, users/me {me:.0} / {wrk_me:.0}"
            );
        }
    }

    fn text(&self, ready: f64, megabytes: f64, size: usize) -> String {
        let mut lines = Vec::new();
        let calm = self.series.get(&("users/me, calm", 4)).map_or(f64::NAN, |series| median(&series.p99));
        for ((name, connections), series) in &self.series {
            lines.extend(line(name, *connections, series, calm));
        }
        let cores = floors::cores() as f64;
        if let Some(login) = self.series.get(&("login", 64)) {
            let factor = median(&login.p99) / (64.0 / median(&login.rate) * 1000.0);
            lines.push(Line {
                goal: "G2",
                what: "login p99, 64 connections".to_owned(),
                measured: format!("{:.0} ms", median(&login.p99)),
                floor: format!("{:.0} ms: connections ÷ throughput", 64.0 / median(&login.rate) * 1000.0),
                result: format!("{factor:.2} ×"),
                wanted: "≤ 1.6 ×".to_owned(),
                met: Some(factor <= 1.6),
            });
        }
        if self.refused.1 > 0 {
            let (p50, count, told) = self.refused;
            lines.push(Line {
                goal: "G2",
                what: "more than the queue holds: 503 with `Retry-After`, p50".to_owned(),
                measured: format!("{p50:.1} ms"),
                floor: String::new(),
                result: format!("{told} of {count} say when to come back"),
                wanted: "≤ 5 ms".to_owned(),
                met: Some(p50 <= 5.0 && told == count),
            });
        }
        let plain = |goal, what: &str, measured: String, wanted: String, met| Line {
            goal,
            what: what.to_owned(),
            measured,
            floor: String::new(),
            result: String::new(),
            wanted,
            met: Some(met),
        };
        let idle = self.idle;
        lines.push(plain("G10", "memory, idle", format!("{idle:.0} MB"), "≤ 25 MB".to_owned(), idle <= 25.0));
        if self.storm > 0.0 {
            let most = idle + 20.0 * cores + 20.0;
            let met = self.storm <= most;
            let storm = format!("{:.0} MB", self.storm);
            lines.push(plain("G10", "memory in a storm of 64 logins", storm, format!("≤ {most:.0} MB"), met));
        }
        lines.push(plain(
            "G11",
            "ready, tables up to date",
            format!("{ready:.0} ms"),
            "≤ 150 ms".to_owned(),
            ready <= 150.0,
        ));
        let met = megabytes <= 25.0;
        lines.push(plain(
            "G11",
            "size of the binary",
            format!("{megabytes:.1} MB"),
            "≤ 25 MB".to_owned(),
            met,
        ));
        let Options { runs, seconds, .. } = self.options;
        format!(
            "{}. {runs} runs of {seconds} seconds each, medians (least–most), everything in the same minutes. The bare answer \
             has {size} bytes, as `users/me`.\n\n{}",
            report::machine(),
            report::table(&lines)
        )
    }
}

/// The lines of one operation. `calm` is the p99 of reading without a storm.
fn line(name: &str, connections: usize, series: &Series, calm: f64) -> Vec<Line> {
    let (rate, ratios) = (median(&series.rate), series.ratios());
    let ratio = median(&ratios);
    let (goal, beside, least) = match (name, connections) {
        ("login", 4) => ("G1", "raw hash", Some(0.88)),
        ("login", _) => ("G1", "raw hash", Some(0.95)),
        ("registration", _) => ("G1", "raw hash", Some(0.9)),
        ("users/me in a storm", _) => ("G3", "calm", Some(0.55)),
        ("users/me, calm", _) => ("", "", None),
        ("users/me", _) => ("G4", "bare answer", Some(0.6)),
        ("evaluation", _) => ("G6", "bare answer", Some(0.5)),
        ("JWKS", _) => ("G7", "bare answer", Some(0.9)),
        ("refresh", _) => ("G8", "durable commit", Some(0.7)),
        _ => ("", "", None),
    };
    let (p50, p99) = (median(&series.p50), median(&series.p99));
    let mut lines = vec![Line {
        goal,
        what: format!("{name}, {connections} connections"),
        measured: format!("{} /s, p50 {p50:.2} ms, p99 {p99:.2} ms", rounded(rate)),
        floor: least.map_or(String::new(), |_| format!("{beside}: {} /s", rounded(median(&series.floor)))),
        result: least.map_or(String::new(), |_| spread(&ratios)),
        wanted: least.map_or(String::new(), |least| format!("≥ {least}")),
        met: least.map(|least| ratio >= least),
    }];
    if name == "users/me in a storm" {
        lines.push(Line {
            goal: "G3",
            what: format!("{name}, p99"),
            measured: format!("{p99:.2} ms"),
            floor: String::new(),
            result: format!("{:.1} × calm", p99 / calm),
            wanted: "≤ 12 ms, and ≤ 3 × calm".to_owned(),
            met: Some(p99 <= 12.0 && p99 <= 3.0 * calm),
        });
    }
    lines
}
