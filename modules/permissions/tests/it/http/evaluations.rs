//! `/access/v1/evaluations`.

use crate::world::{Person, Reply, World};
use platform::db::Database;
use serde_json::{Value, json};
use testkit::both_engines;

const PATH: &str = "/access/v1/evaluations";

async fn ask(world: &World, by: &Person, body: &Value) -> Reply {
    world.post(PATH, body).by(by).send().await
}

fn decisions(reply: &Reply) -> Vec<bool> {
    reply.body["evaluations"].as_array().unwrap().iter().map(|one| one["decision"] == json!(true)).collect()
}

fn thing(id: &str) -> Value {
    json!({ "type": "documents", "id": id })
}

both_engines! {
    async fn several_questions_are_answered_in_their_order(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let person = world.person();
        for id in ["1", "3"] {
            let body = json!({ "subject": person.subject(), "role": "reader", "resource": thing(id) });
            world.post("/api/v1/role-assignments", &body).by(&admin).send().await.expect(201);
        }
        let body = |semantic: &str| json!({
            "subject": person.subject(), "action": { "name": "read" }, "context": { "time": "now" },
            "options": { "evaluations_semantic": semantic },
            "evaluations": [
                { "resource": thing("1") }, { "resource": thing("2") }, { "resource": thing("3") },
                { "resource": thing("3"), "action": { "name": "write" } },
                { "resource": thing("2"), "subject": admin.subject() },
            ],
        });
        let all = ask(&world, &admin, &body("execute_all")).await.expect(200);
        assert_eq!(decisions(&all), [true, false, true, false, true]);
        assert_eq!(all.body["evaluations"][0], json!({
            "decision": true, "context": { "reason": "permission_held", "role": "reader", "permission": "documents:read" },
        }));
        assert!(all.body.get("decision").is_none());
        let mut usual = body("execute_all");
        usual.as_object_mut().unwrap().remove("options");
        assert_eq!(ask(&world, &admin, &usual).await.expect(200).body, all.body);
        assert_eq!(decisions(&ask(&world, &admin, &body("deny_on_first_deny")).await), [true, false]);
        assert_eq!(decisions(&ask(&world, &admin, &body("permit_on_first_permit")).await), [true]);
        let own = ask(&world, &person, &body("execute_all")).await.expect(200);
        assert_eq!(decisions(&own), [true, false, true, false, false], "about others only with the right");
        assert_eq!(own.body["evaluations"][4]["context"]["error"]["status"], json!(403));
        let explained = world.post(&format!("{PATH}?explain=true"), &body("execute_all")).by(&admin).send().await.expect(200);
        assert_eq!(explained.body["evaluations"][0]["context"]["explanation"]["path"][0]["step"], json!("assigned"));
        assert_eq!(explained.body["evaluations"][1]["context"]["explanation"]["change"]["role"], json!("reader"));
    }

    async fn without_several_it_is_one(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let one = json!({
            "subject": person.subject(), "action": { "name": "read" },
            "resource": { "type": "user", "id": person.id },
        });
        let alone = world.post("/access/v1/evaluation", &one).by(&person).send().await.expect(200);
        assert_eq!(ask(&world, &person, &one).await.expect(200).body, alone.body);
        let mut empty = one.clone();
        empty["evaluations"] = json!([]);
        assert_eq!(ask(&world, &person, &empty).await.expect(200).body, alone.body);
        let mut other = one.clone();
        other["subject"]["id"] = json!(world.person().id);
        ask(&world, &person, &other).await.expect_problem(403, "platform.denied");
        let mut less = one;
        less.as_object_mut().unwrap().remove("resource");
        let reply = ask(&world, &person, &less).await.expect_problem(400, "permissions.malformed_evaluation");
        assert!(reply.text("detail").starts_with("/resource: "));
    }

    async fn one_bad_question_spoils_no_other(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let me = json!({ "type": "user", "id": person.id });
        let body = |semantic: &str| json!({
            "subject": person.subject(), "options": { "evaluations_semantic": semantic },
            "evaluations": [
                { "action": { "name": "read" }, "resource": me },
                { "resource": me },
                { "action": { "name": "" }, "resource": { "type": "a\nb", "id": "x".repeat(256) } },
                { "action": { "name": "read" }, "resource": me },
            ],
        });
        let all = ask(&world, &person, &body("execute_all")).await.expect(200);
        assert_eq!(decisions(&all), [true, false, false, true]);
        let error = &all.body["evaluations"][1]["context"]["error"];
        assert_eq!((&error["status"], &error["code"]), (&json!(422), &json!("permissions.malformed_evaluation")));
        assert!(error["message"].as_str().unwrap().starts_with("/action: "));
        let message = all.body["evaluations"][2]["context"]["error"]["message"].as_str().unwrap();
        for pointer in ["/action/name: ", "/resource/type: ", "/resource/id: "] {
            assert!(message.contains(pointer), "{message}");
        }
        assert_eq!(decisions(&ask(&world, &person, &body("deny_on_first_deny")).await), [true, false]);
        for (field, value) in [
            ("evaluations", json!({})), ("evaluations", json!([1])), ("options", json!([])), ("more", json!(1)),
            ("options", json!({ "evaluations_semantic": "all" })), ("options", json!({ "speed": 1 })),
            ("evaluations", json!([{ "action": "read" }])), ("evaluations", json!([{ "actions": [] }])),
        ] {
            let mut bad = body("execute_all");
            bad[field] = value;
            ask(&world, &person, &bad).await.expect_problem(400, "permissions.malformed_evaluation");
        }
        let many = |count: usize| json!({
            "subject": me, "action": { "name": "read" }, "resource": me, "evaluations": vec![json!({}); count],
        });
        assert_eq!(decisions(&ask(&world, &person, &many(1_000)).await.expect(200)), vec![true; 1_000]);
        ask(&world, &person, &many(1_001)).await.expect_problem(400, "permissions.malformed_evaluation");
    }

    async fn the_owner_is_taken_from_the_request_where_a_question_does_not_say(db: Database) {
        let world = World::new(db);
        let (person, other) = (world.person(), world.person());
        let owned = |by: &Person| json!({
            "type": "documents", "id": "1", "properties": { "owner": by.id, "pages": vec![json!({ "text": "x" }); 100] },
        });
        let body = json!({
            "subject": person.subject(), "action": { "name": "read" }, "resource": owned(&person),
            "evaluations": [{}, { "resource": owned(&other) }, { "resource": thing("1") }, { "action": { "name": "write" } }],
        });
        assert_eq!(decisions(&ask(&world, &person, &body).await.expect(200)), [true, false, false, true]);
    }

    async fn only_some_questions_are_explained_at_once(db: Database) {
        let world = World::new(db);
        let person = world.person();
        let many = |count: usize| json!({
            "subject": person.subject(), "action": { "name": "read" }, "resource": person.subject(),
            "evaluations": vec![json!({}); count],
        });
        let explain = async |count| {
            world.post(&format!("{PATH}?explain=true"), &many(count)).by(&person).send().await
        };
        assert_eq!(decisions(&explain(50).await.expect(200)), vec![true; 50]);
        let refused = explain(51).await.expect_problem(400, "permissions.malformed_evaluation");
        assert_eq!(refused.pointers(), ["/evaluations"]);
        assert!(refused.text("detail").contains("50"), "{}", refused.text("detail"));
        ask(&world, &person, &many(51)).await.expect(200);
    }

    async fn a_batch_never_sees_half_of_a_change(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        world.role(&admin, "reader", &["documents:read"], &[]).await;
        let group = world.group(&admin, "readers").await;
        let people: Vec<Person> = (0..4).map(|_| world.person()).collect();
        for person in &people {
            world.join(&admin, &group, &person.subject()).await.expect(204);
        }
        let items: Vec<Value> = people.iter().map(|one| json!({ "subject": one.subject() })).collect();
        let body = json!({ "action": { "name": "read" }, "resource": thing("1"), "evaluations": items });
        for _ in 0..10 {
            let change = async {
                let given = world.endow(&admin, &group, "reader").await;
                world.delete(&format!("/api/v1/role-assignments/{given}")).by(&admin).send().await.expect(204);
            };
            let asking = async {
                for _ in 0..6 {
                    let all = decisions(&ask(&world, &admin, &body).await.expect(200));
                    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
                }
            };
            futures_util::join!(change, asking);
        }
    }
}
