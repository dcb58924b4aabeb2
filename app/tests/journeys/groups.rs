//! A team gets its rights as a group; somebody asks why, and who else may.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Ask;
use crate::journey;

fn post(path: &str, body: &Value) -> Ask {
    Ask::new(Method::POST, path).body(body)
}

fn question(user: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": user }, "action": { "name": "read" },
        "resource": { "type": "documents", "id": "1" },
    })
}

journey! {
    async fn a_team_gets_its_rights_as_a_group(house) {
        let root = house.administrator().await;
        let mia = house.person("mia").await;
        let notes = &mut house.transcript;
        let role = json!({ "name": "reader", "permissions": ["documents:read"] });
        assert_eq!(root.client.tell(notes, &post("/api/v1/roles", &role)).await.status, 201);
        let sales = root.client.tell(notes, &post("/api/v1/groups", &json!({ "name": "sales" }))).await;
        let europe = root.client.tell(notes, &post("/api/v1/groups", &json!({ "name": "sales-eu" }))).await;
        let (sales, europe) = (sales.body["id"].as_str().unwrap().to_owned(), europe.body["id"].as_str().unwrap().to_owned());
        let given = json!({ "subject": { "type": "group", "id": sales }, "role": "reader" });
        assert_eq!(root.client.tell(notes, &post("/api/v1/role-assignments", &given)).await.status, 201);

        notes.say("Why not? A member of the staff learns that it is refused, the administrator what would help");
        let explained = "/access/v1/evaluation?explain=true";
        let no = mia.client.tell(notes, &post(explained, &question(&mia.id))).await;
        assert_eq!(no.body["context"]["explanation"]["changes_withheld"], json!(true));
        let why_not = root.client.tell(notes, &post(explained, &question(&mia.id))).await;
        assert_eq!(why_not.body["context"]["explanation"]["change"]["role"], json!("reader"));

        notes.say("Into the group inside of the group");
        let nested = Ask::new(Method::PUT, &format!("/api/v1/groups/{sales}/members/group/{europe}"));
        assert_eq!(root.client.tell(notes, &nested).await.status, 204);
        let joined = format!("/api/v1/groups/{europe}/members/user/{}", mia.id);
        assert_eq!(root.client.tell(notes, &Ask::new(Method::PUT, &joined)).await.status, 204);
        let yes = mia.client.tell(notes, &post(explained, &question(&mia.id))).await;
        assert_eq!(yes.body["decision"], json!(true));
        assert_eq!(yes.body["context"]["explanation"]["path"].as_array().unwrap().len(), 4);

        notes.say("Several questions at once, and the other way round");
        let several = json!({
            "subject": { "type": "user", "id": mia.id }, "resource": { "type": "documents", "id": "1" },
            "evaluations": [{ "action": { "name": "read" } }, { "action": { "name": "write" } }],
        });
        let all = mia.client.tell(notes, &post("/access/v1/evaluations", &several)).await;
        assert_eq!((&all.body["evaluations"][0]["decision"], &all.body["evaluations"][1]["decision"]), (&json!(true), &json!(false)));
        let who = json!({
            "subject": { "type": "user" }, "action": { "name": "read" }, "resource": { "type": "documents", "id": "1" },
        });
        let found = root.client.tell(notes, &post("/access/v1/search/subject", &who)).await;
        assert_eq!(found.body["results"].as_array().unwrap().len(), 2, "Mia, and the administrator");
        assert_eq!(mia.client.tell(notes, &post("/access/v1/search/subject", &who)).await.status, 403);
        let may = json!({ "subject": { "type": "user", "id": mia.id }, "resource": { "type": "documents", "id": "1" } });
        assert_eq!(mia.client.tell(notes, &post("/access/v1/search/action", &may)).await.body["results"], json!([{ "name": "read" }]));

        notes.say("Out of the group: refused on the very next request");
        assert_eq!(root.client.tell(notes, &Ask::new(Method::DELETE, &joined)).await.status, 204);
        let after = mia.client.tell(notes, &post("/access/v1/evaluation", &question(&mia.id))).await;
        assert_eq!(after.body["decision"], json!(false));
    }
}
