//! A module moves out of running replicas into a service of its own, and back, under load: no request fails, no event is
//! lost or doubled. Step by step what docs/operations.md tells an operator to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Findings;
use super::rolling::{GENTLE, restart};
use super::stage::{Stage, table};
use crate::fleet::{Fleet, MODULES, Member, random_key};
use crate::house::{self, House};
use crate::proxy::{Proxy, Server};
use crate::{Engine, Shape};

const MOVED: &str = "notifications";
const OTHERS: [&str; 3] = ["auth", "users", "permissions"];
const ONE: usize = 0;
const OTHER: usize = 1;
const SERVICE: usize = 2;

/// The keys with which the two sides prove who they are.
struct Keys {
    /// Private and public, of the replicas.
    replicas: (String, String),
    /// The same of the service.
    service: (String, String),
}

/// Runs the whole story with this binary, or the one beside this one. A request that failed is a violation.
///
/// # Errors
/// When there is no server to be had that is needed, or Doorward does not come back.
pub fn take_out(doorward: Option<PathBuf>) -> Result<Findings, String> {
    let binary = doorward.unwrap_or_else(house::beside);
    let mut stage = Stage::open(&binary, Shape::Replicas, Engine::Postgres, &GENTLE)?;
    let begun = Instant::now();
    stage.writes_go_on()?;
    let inside = out(&mut stage.fleet, &binary)?;
    let apart = begun.elapsed();
    stage.writes_go_on()?;
    let begun = Instant::now();
    back(&mut stage.fleet, &inside)?;
    let together = begun.elapsed();
    stage.writes_go_on()?;
    let mut outcome = stage.close(false);
    drop(inside);
    let failed = outcome.seen.unanswered + outcome.seen.refused;
    outcome.violations.extend(outcome.seen.failed.iter().map(|what| format!("a request failed: {what}")));
    if outcome.counted.mails_doubled > 0 {
        outcome.violations.push(format!("{} e-mails came twice", outcome.counted.mails_doubled));
    }
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let mut rows = vec![
        ("notifications moved out under load, in".to_owned(), seconds(apart)),
        ("and back, in".to_owned(), seconds(together)),
    ];
    rows.extend(outcome.load());
    rows.push(("**requests that failed**".to_owned(), format!("**{failed}**")));
    rows.extend(outcome.result());
    Ok(Findings::of(outcome, table(rows)))
}

impl Stage {
    /// Waits until the clients have written a good deal more.
    fn writes_go_on(&self) -> Result<(), String> {
        let (end, wanted) = (Instant::now() + Duration::from_secs(60), self.ledger.len() + 200);
        while self.ledger.len() < wanted {
            if Instant::now() > end {
                return Err("the clients don't get on any more".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The steps there. What is given back stands in front of the replicas' management listeners.
fn out(fleet: &mut Fleet, binary: &Path) -> Result<Proxy, String> {
    let mut service = fleet.members[ONE].house.beside();
    let keys = keys(&mut service);

    eprintln!("moving: 1. each replica gets its key, with which it seals events from now on");
    for at in [ONE, OTHER] {
        restart(fleet, at, |house| give_keys(house, &keys))?;
    }

    eprintln!("moving: 2. the proxy asks only the other replica for notifications");
    lead(fleet, &[OTHER]);

    eprintln!("moving: 3. the service starts on the same database");
    let mut inside = Proxy::inside(binary);
    inside.start(&only(fleet, &[ONE]))?;
    service.set("MODULES", MOVED);
    service.set("PEERS__KEY", &keys.service.0);
    for module in OTHERS {
        let name = module.to_uppercase();
        service.set(&format!("PEERS__{name}"), &format!("http://{}", inside.address));
        service.set(&format!("PEERS__KEYS__{name}"), &keys.replicas.1);
    }
    service.start();
    let at = format!("http://{}", service.management);
    fleet.members.push(Member { name: "the service".to_owned(), modules: vec![MOVED], house: service });

    eprintln!("moving: 4. one replica without notifications");
    restart(fleet, ONE, |house| part(house, &at))?;
    fleet.members[ONE].modules = OTHERS.to_vec();
    await_peers(fleet)?;

    eprintln!("moving: 5. the proxy asks the service");
    lead(fleet, &[SERVICE]);

    eprintln!("moving: 6. the other replica without notifications");
    restart(fleet, OTHER, |house| part(house, &at))?;
    fleet.members[OTHER].modules = OTHERS.to_vec();

    eprintln!("moving: 7. the service may ask both");
    inside.lead_to(&only(fleet, &[ONE, OTHER]));
    Ok(inside)
}

/// The steps back.
fn back(fleet: &mut Fleet, inside: &Proxy) -> Result<(), String> {
    eprintln!("moving: 1. the service asks only one replica");
    inside.lead_to(&only(fleet, &[ONE]));

    eprintln!("moving: 2. the other replica has everything again");
    restart(fleet, OTHER, unite)?;
    fleet.members[OTHER].modules = MODULES.to_vec();

    eprintln!("moving: 3. the proxy asks it for notifications");
    lead(fleet, &[OTHER]);

    eprintln!("moving: 4. the first one has everything again");
    restart(fleet, ONE, unite)?;
    fleet.members[ONE].modules = MODULES.to_vec();

    eprintln!("moving: 5. the proxy asks both, and the service ends");
    lead(fleet, &[ONE, OTHER]);
    let mut service = fleet.members.remove(SERVICE);
    service.house.stop();
    match service.house.logged("panicked") {
        0 => Ok(()),
        _ => Err(service.house.log()),
    }
}

fn keys(house: &mut House) -> Keys {
    let mut pair = || {
        let private = random_key();
        house.set("PEERS__KEY", &private);
        (private, house.told_by(&["keys", "service"]))
    };
    Keys { replicas: pair(), service: pair() }
}

/// The settings of a replica that is to be told from the service.
fn give_keys(house: &mut House, keys: &Keys) {
    house.set("PEERS__KEY", &keys.replicas.0);
    house.set("PEERS__KEYS__NOTIFICATIONS", &keys.service.1);
}

/// Those of one without the module.
fn part(house: &mut House, service: &str) {
    house.set("MODULES", &OTHERS.join(","));
    house.set("PEERS__NOTIFICATIONS", service);
}

/// And of one with it. The keys stay: as long as there is a service, it takes only what is sealed with them.
fn unite(house: &mut House) {
    for name in ["MODULES", "PEERS__NOTIFICATIONS"] {
        house.unset(name);
    }
}

/// Has the proxy ask these for notifications, and both replicas for all else.
fn lead(fleet: &Fleet, notifications: &[usize]) {
    let mut servers = only(fleet, notifications);
    servers.retain(|(module, ..)| *module == MOVED);
    let others = only(fleet, &[ONE, OTHER]).into_iter().filter(|(module, ..)| *module != MOVED);
    servers.extend(others);
    if let Some(proxy) = &fleet.proxy {
        proxy.lead_to(&servers);
    }
}

fn only(fleet: &Fleet, members: &[usize]) -> Vec<Server> {
    let all = fleet.servers();
    let public: Vec<_> = members.iter().map(|at| fleet.members[*at].house.public).collect();
    all.into_iter().filter(|(_, address, _)| public.contains(address)).collect()
}

/// Waits until the service gets answers.
fn await_peers(fleet: &Fleet) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(30);
    while !fleet.is_answered(SERVICE, "auth") {
        if Instant::now() > end {
            return Err(format!("nobody answers the service:\n{}", fleet.members[SERVICE].house.log()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
