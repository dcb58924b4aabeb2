//! Random worlds in the database: what is decided with caches, without them and by a naive walk is the same, after
//! every change; and a search finds exactly those who are allowed.

use crate::world::{World, cold, warm};
use contracts::permissions::{AssignRole, Evaluate, Permissions as _, ResourceRef, Subject};
use contracts::{Caller, GroupId, UserId};
use platform::db::Database;
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use testkit::both_engines;

const ACTIONS: [&str; 3] = ["read", "rea", "write"];
const TYPES: [&str; 3] = ["sales", "sales-eu", "sales_eu"];
const IDS: [&str; 4] = ["1", "11", "a:b", "b|c"];

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// A thing, as its type and its id.
type Thing = (String, String);

/// The same world, as plain words.
#[derive(Default)]
struct Plain {
    /// By role: permissions, and the role that it inherits.
    roles: BTreeMap<String, (Vec<Thing>, Option<String>)>,
    /// Group and member.
    inside: BTreeSet<(GroupId, String)>,
    /// Holder, role, thing, whether it has ended.
    given: BTreeMap<(String, String, Option<Thing>), bool>,
}

impl Plain {
    fn allows(&self, holder: &str, action: &str, kind: &str, id: &str) -> bool {
        let here = self.given.iter().any(|((to, role, thing), ended)| {
            let about = thing.as_ref().is_none_or(|(k, i)| (k.as_str(), i.as_str()) == (kind, id));
            to == holder && !ended && about && self.role_allows(role, action, kind)
        });
        let mut around = self.inside.iter().filter(|(_, member)| member == holder);
        here || around.any(|(group, _)| self.allows(&group.to_string(), action, kind, id))
    }

    fn role_allows(&self, role: &str, action: &str, kind: &str) -> bool {
        let Some((permissions, inherits)) = self.roles.get(role) else { return false };
        let fits = |(target, verb): &(String, String)| {
            (target == "*" || target == kind) && (verb == "*" || verb == action)
        };
        permissions.iter().any(fits)
            || inherits.as_ref().is_some_and(|other| self.role_allows(other, action, kind))
    }
}

both_engines! {
    async fn caches_and_searches_say_what_a_naive_walk_says(db: Database) {
        let here = World::with_cache(db.clone(), &warm());
        let admin = here.administrator().await;
        let caller = Caller::module("test");
        let mut dice = Dice(42);
        for round in 0..20 {
            let mut plain = Plain::default();
            let roles: Vec<String> = (0..4).map(|at| format!("r{round}-{at}")).collect();
            for (at, name) in roles.iter().enumerate() {
                let permissions: Vec<(String, String)> = (0..dice.roll(3))
                    .map(|_| {
                        let target = dice.pick(&["sales", "sales-eu", "sales_eu", "sales", "*"]);
                        (target.to_owned(), dice.pick(&["read", "rea", "write", "read", "*"]).to_owned())
                    })
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect();
                let inherits = (at > 0 && dice.roll(2) == 0).then(|| roles[dice.roll(at)].clone());
                let texts: Vec<String> = permissions.iter().map(|(target, verb)| format!("{target}:{verb}")).collect();
                let body = json!({ "name": name, "permissions": texts, "inherits": inherits.iter().collect::<Vec<_>>() });
                here.post("/api/v1/roles", &body).by(&admin).send().await.expect(201);
                plain.roles.insert(name.clone(), (permissions, inherits));
            }
            let people: Vec<_> = (0..3).map(|_| here.person()).collect();
            let mut groups: Vec<GroupId> = vec![];
            for at in 0..3 {
                groups.push(here.group(&admin, &format!("g{round}-{at}")).await.parse().unwrap());
            }
            for _ in 0..12 {
                // One change, then every question.
                let member = match dice.roll(3) {
                    0 => people[dice.roll(3)].subject(),
                    1 => people[0].subject(),
                    _ => json!({ "type": "group", "id": groups[1 + dice.roll(2)] }),
                };
                let id = member["id"].as_str().unwrap().to_owned();
                match dice.roll(6) {
                    0 | 1 => {
                        let group = groups[dice.roll(3)];
                        let reply = here.join(&admin, &group.to_string(), &member).await;
                        if reply.status == 204 {
                            plain.inside.insert((group, id));
                        }
                    }
                    2 => {
                        if let Some((group, gone)) = plain.inside.pop_first() {
                            let kind = if groups.iter().any(|one| one.to_string() == gone) { "group" } else { "user" };
                            here.leave(&admin, &group.to_string(), &json!({ "type": kind, "id": gone })).await.expect(204);
                        }
                    }
                    3 => {
                        let list = here.get(&format!("/api/v1/role-assignments?subject={id}&state=active")).by(&admin).send().await;
                        if let Some(one) = list.body["items"].as_array().unwrap().first() {
                            let path = format!("/api/v1/role-assignments/{}", one["id"].as_str().unwrap());
                            here.delete(&path).by(&admin).send().await.expect(204);
                            let thing = one["resource"].as_object().map(|thing| {
                                (thing["type"].as_str().unwrap().to_owned(), thing["id"].as_str().unwrap().to_owned())
                            });
                            plain.given.remove(&(id, one["role"].as_str().unwrap().to_owned(), thing));
                        }
                    }
                    _ => {
                        let role = roles[dice.roll(4)].clone();
                        let thing = (dice.roll(2) == 0).then(|| (dice.pick(&TYPES).to_owned(), dice.pick(&IDS).to_owned()));
                        let brief = dice.roll(4) == 0;
                        let ask = AssignRole {
                            subject: serde_json::from_value::<Subject>(member).unwrap(),
                            role: role.clone(),
                            resource: thing.clone().map(|(resource_type, id)| ResourceRef { resource_type, id }),
                            expires_at: brief.then(|| here.later(1)),
                        };
                        here.service.assign_role(&caller, ask).await.unwrap();
                        let ended = plain.given.entry((id, role, thing)).or_insert(true);
                        *ended &= brief;
                        here.clock.advance(Duration::from_secs(1));
                    }
                }
                compare(&here, &db, &plain, &people.iter().map(|one| one.id).collect::<Vec<_>>()).await;
            }
            search(&here, &admin, &plain, &people.iter().map(|one| one.id).collect::<Vec<_>>()).await;
        }
    }
}

async fn compare(here: &World, db: &Database, plain: &Plain, people: &[UserId]) {
    let fresh = World::with_cache(db.clone(), &cold());
    fresh.clock.advance(Duration::from_micros(
        u64::try_from(here.clock.now().micros() - fresh.clock.now().micros()).unwrap(),
    ));
    let caller = Caller::module("test");
    for (at, person) in people.iter().enumerate() {
        for action in ACTIONS {
            for kind in TYPES {
                for (turn, id) in IDS.iter().enumerate() {
                    let ask = Evaluate {
                        subject: Subject::user(*person),
                        action: action.into(),
                        resource_type: kind.into(),
                        resource_id: Some((*id).into()),
                        resource_properties: Map::new(),
                    };
                    let expected = plain.allows(&person.to_string(), action, kind, id);
                    let told = here.service.evaluate(&caller, ask.clone()).await.unwrap().allowed;
                    assert_eq!(told, expected, "warm: {action} {kind} {id}");
                    if (turn + at) % 8 == 0 {
                        let told = fresh.service.evaluate(&caller, ask).await.unwrap().allowed;
                        assert_eq!(told, expected, "cold: {action} {kind} {id}");
                    }
                }
            }
        }
    }
}

async fn search(here: &World, admin: &crate::world::Person, plain: &Plain, people: &[UserId]) {
    for kind in TYPES {
        let id = IDS[0];
        let body = json!({
            "subject": { "type": "user" }, "action": { "name": "read" }, "resource": { "type": kind, "id": id },
            "page": { "limit": 200 },
        });
        let reply = here.post("/access/v1/search/subject", &body).by(admin).send().await.expect(200);
        let found: BTreeSet<&str> =
            reply.body["results"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
        for person in people {
            let expected = plain.allows(&person.to_string(), "read", kind, id);
            assert_eq!(found.contains(person.to_string().as_str()), expected, "{kind} {id}");
            let body = json!({
                "subject": { "type": "user", "id": person }, "action": { "name": "read" }, "resource": { "type": kind },
            });
            let reply = here.post("/access/v1/search/resource", &body).by(admin).send().await.expect(200);
            let listed = |id: &str| {
                reply.body["results"].as_array().unwrap().iter().any(|one| one["id"] == *id)
                    || reply.body["context"]["whole_type"] == json!(true)
            };
            for id in IDS {
                assert_eq!(listed(id), plain.allows(&person.to_string(), "read", kind, id), "{kind} {id}");
            }
        }
    }
}
