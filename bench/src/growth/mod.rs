//! The same operations on a small and on a large database, turn and turn about: what is looked up by its key must not
//! notice how many others there are.
//!
//! The caches are off, so that every request asks the database. Filling is done beside Doorward, by SQL.

mod fill;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Engine;
use crate::asks;
use crate::drive::{Load, Next, drive};
use crate::house::{self, House};
use crate::http::Api;
use crate::people::{Person, administrator, people};
use crate::report::{self, median, rounded};
use crate::services::{Service, Services};
use crate::sql::Sql;

/// How large, and on what.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Accounts in each database; everything is compared with the first.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000])]
    pub accounts: Vec<u64>,
    /// On which databases.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    pub engine: Vec<Engine>,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// How often everything is measured; medians are told.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// The binary to measure; the one beside this one when absent.
    #[arg(long)]
    pub doorward: Option<PathBuf>,
    /// A file to write the tables into, between their marks.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// How many connections ask at the same time: few, because latency is asked for.
const CONNECTIONS: usize = 4;

/// How many of the people in the database are logged in and ask.
const ASKING: usize = 100;

const SETTINGS: [(&str, &str); 5] = [
    ("DOORWARD__LIMITS__LOGINS__PER_ADDRESS", "0"),
    ("DOORWARD__LIMITS__REFRESHES__PER_ADDRESS", "0"),
    ("DOORWARD__CACHE__ENABLED", "false"),
    ("DOORWARD__AUTH__TOKENS__ACCESS_SECONDS", "3600"),
    ("DOORWARD__LOG__FILTER", "warn"),
];

/// Measures and prints a table for each database.
pub fn run(options: &Options) {
    let binary = options.doorward.clone().unwrap_or_else(house::beside);
    let mut text = format!(
        "{}. Caches off, {CONNECTIONS} connections, {} runs of {} seconds, medians, both databases in turn.\n",
        report::machine(),
        options.runs,
        options.seconds
    );
    for engine in &options.engine {
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                Some(Services::start(&[Service::Postgres]).unwrap_or_else(|error| panic!("{error}")))
            }
        };
        let mut towns: Vec<Town> =
            options.accounts.iter().map(|count| Town::found(&binary, postgres.as_ref(), *count)).collect();
        text.push_str(&format!("\n{}\n", table(*engine, options, &mut towns)));
    }
    println!("{text}");
    if let Some(file) = &options.write {
        report::write(file, "growth", &text);
    }
}

/// A Doorward with so many people.
struct Town {
    count: u64,
    house: House,
    root: Person,
    asking: Vec<Person>,
    /// Some of everybody.
    ids: Vec<String>,
    /// Which operations there are.
    paths: Value,
}

impl Town {
    fn found(binary: &Path, postgres: Option<&Services>, count: u64) -> Self {
        let url = postgres.map(|postgres| {
            Sql::postgres(postgres.url(Service::Postgres)).run(&format!("CREATE DATABASE growth{count}"));
            postgres.database(&format!("growth{count}"))
        });
        let mut house = House::new(binary, url.as_deref(), &SETTINGS);
        house.migrate();
        house.start();
        let runtime = crate::runtime();
        let address = house.public;
        let root = runtime.block_on(administrator(&house));
        runtime.block_on(people(address, "first", 1));
        house.stop();
        let mut sql = match &url {
            Some(url) => Sql::postgres(url),
            None => Sql::sqlite(&house.file()),
        };
        let begun = Instant::now();
        fill::fill(&mut sql, count);
        let ids = fill::sample(&mut sql, count, 2_000);
        eprintln!("bench: {count} accounts in {} s", begun.elapsed().as_secs());
        drop(sql);
        house.start();
        let (asking, paths) = runtime.block_on(async {
            let mut asking = Vec::new();
            for number in 0..ASKING as u64 {
                let email = fill::address(1 + number * (count - 1) / ASKING as u64);
                asking.push(Person::log_in(address, &email, "the same long sentence for everybody").await);
            }
            let document = Api::new(address, None).get("/openapi.json").await.unwrap();
            (asking, document.body["paths"].clone())
        });
        let root = runtime.block_on(Person::log_in(address, &root.email, &root.password));
        Self { count, house, root, asking, ids, paths }
    }

    fn has(&self, method: &str, path: &str) -> bool {
        self.paths[path][method].is_object()
    }

    fn get_as_root(&self, path: &str) -> Vec<u8> {
        asks::get(path, &self.root)
    }

    /// Every operation that there is: its name, whether it is a look-up by a key, and what to ask.
    fn operations(&self) -> Vec<(&'static str, bool, Vec<Vec<u8>>)> {
        let own = |path: &str| self.asking.iter().map(|person| asks::get(path, person)).collect::<Vec<_>>();
        let each = |path: &dyn Fn(&String) -> String| {
            self.ids.iter().map(|id| self.get_as_root(&path(id))).collect::<Vec<_>>()
        };
        let mut all = vec![
            ("login, its hash included", true, self.asking.iter().map(asks::login).collect()),
            ("users/me", true, own("/api/v1/users/me")),
            ("evaluation about oneself", true, self.asking.iter().map(asks::evaluation).collect()),
            ("one's sessions", true, own("/api/v1/auth/sessions")),
            ("roles of a person", true, each(&|id| format!("/api/v1/users/{id}/roles"))),
            (
                "audit trail of a person",
                true,
                each(&|id| format!("/api/v1/audit-events?limit=20&subject_id={id}")),
            ),
            ("audit trail, newest 20", false, vec![self.get_as_root("/api/v1/audit-events?limit=20")]),
            (
                "assignments of a role, 20",
                false,
                vec![self.get_as_root("/api/v1/role-assignments?role=member&limit=20")],
            ),
        ];
        if self.has("get", "/api/v1/users") {
            let names = (0..500).map(|number| fill::name(1 + number * (self.count - 1) / 500));
            let searches = names.map(|name| self.get_as_root(&format!("/api/v1/users?limit=20&q={name}")));
            all.push(("a person by id", true, each(&|id| format!("/api/v1/users/{id}"))));
            all.push(("list of 20 people", false, vec![self.get_as_root("/api/v1/users?limit=20")]));
            let found = (0..500).map(|number| fill::address(1 + number * (self.count - 1) / 500));
            let found = found.map(|email| self.get_as_root(&format!("/api/v1/users?limit=20&q={email}")));
            all.push(("search for an address", true, found.collect()));
            all.push(("search for a person", true, searches.collect()));
            let town = self.get_as_root("/api/v1/users?limit=20&q=town");
            all.push(("search for what everybody has", false, vec![town]));
        }
        all
    }

    fn measure(&self, seconds: u64, scripts: Vec<Next>) -> f64 {
        let time = Duration::from_secs(seconds);
        let load =
            Load { address: self.house.public, expected: 200, time, threads: 1, pause: Duration::ZERO };
        drive(&load, scripts).0.milliseconds(0.5)
    }

    fn measure_all(&self, seconds: u64) -> BTreeMap<(&'static str, bool), f64> {
        let mut found = BTreeMap::new();
        for (name, by_key, requests) in self.operations() {
            let scripts = (0..CONNECTIONS).map(|_| anyone(requests.clone())).collect();
            found.insert((name, by_key), self.measure(seconds, scripts));
        }
        let people = crate::runtime().block_on(async {
            let mut people = Vec::new();
            for person in self.asking.iter().take(CONNECTIONS) {
                people.push(Person::log_in(self.house.public, &person.email, &person.password).await);
            }
            people
        });
        let chains = people.iter().map(|person| asks::refreshes(&person.refresh_token)).collect();
        found.insert(("refresh", true), self.measure(seconds, chains));
        found
    }
}

/// One of these requests, any of them, each time.
fn anyone(requests: Vec<Vec<u8>>) -> Next {
    Box::new(move |_, out| {
        out.clear();
        out.extend_from_slice(&requests[rand::random_range(0..requests.len())]);
    })
}

fn table(engine: Engine, options: &Options, towns: &mut [Town]) -> String {
    let mut found: BTreeMap<(&'static str, bool), Vec<Vec<f64>>> = BTreeMap::new();
    for run in 0..options.runs {
        for (place, town) in towns.iter().enumerate() {
            eprintln!(
                "bench: {} with {} accounts, run {} of {}",
                engine.name(),
                town.count,
                run + 1,
                options.runs
            );
            for (name, p50) in town.measure_all(options.seconds) {
                let places = found.entry(name).or_insert_with(|| vec![Vec::new(); towns.len()]);
                places[place].push(p50);
            }
        }
    }
    let mut text = format!("| {}, p50 in ms |", engine.name());
    let mut rule = "|---|".to_owned();
    for town in towns.iter() {
        text.push_str(&format!(" {} accounts |", town.count));
        rule.push_str("---|");
    }
    text.push_str(&format!(" ratio | wanted | met |\n{rule}---|---|---|\n"));
    for ((name, by_key), places) in found {
        let medians: Vec<f64> = places.iter().map(|values| median(values)).collect();
        let ratio = medians.last().unwrap() / medians[0];
        let cells: Vec<String> = medians.iter().map(|value| rounded(*value)).collect();
        let (wanted, met) = match by_key {
            true if ratio <= 1.3 => ("≤ 1.3", "yes"),
            true => ("≤ 1.3", "**no**"),
            false => ("", ""),
        };
        text.push_str(&format!("| {name} | {} | {ratio:.2} | {wanted} | {met} |\n", cells.join(" | ")));
    }
    text
}
