//! Who may call what, and what the OpenAPI document says about it.

use crate::world::World;
use actix_web::http::Method;
use platform::db::Database;
use testkit::both_engines;
use utoipa_actix_web::AppExt as _;

const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Every endpoint, with the right that it needs.
fn endpoints() -> Vec<(Method, String, Option<&'static str>)> {
    let one = |path: &str| format!("/api/v1/{path}");
    vec![
        (Method::GET, one("roles"), Some("roles:read")),
        (Method::POST, one("roles"), Some("roles:write")),
        (Method::GET, one("roles/admin"), Some("roles:read")),
        (Method::PUT, one("roles/admin"), Some("roles:write")),
        (Method::DELETE, one("roles/admin"), Some("roles:write")),
        (Method::GET, one("role-assignments"), Some("role-assignments:read")),
        (Method::POST, one("role-assignments"), Some("role-assignments:write")),
        (Method::GET, one(&format!("role-assignments/{USER}")), Some("role-assignments:read")),
        (Method::DELETE, one(&format!("role-assignments/{USER}")), Some("role-assignments:write")),
        (Method::GET, one(&format!("users/{USER}/roles")), Some("role-assignments:read")),
        (Method::GET, one(&format!("users/{USER}/permissions")), Some("role-assignments:read")),
        (Method::GET, one("groups"), Some("groups:read")),
        (Method::POST, one("groups"), Some("groups:write")),
        (Method::GET, one(&format!("groups/{USER}")), Some("groups:read")),
        (Method::PUT, one(&format!("groups/{USER}")), Some("groups:write")),
        (Method::DELETE, one(&format!("groups/{USER}")), Some("groups:write")),
        (Method::GET, one(&format!("groups/{USER}/members")), Some("groups:read")),
        (Method::PUT, one(&format!("groups/{USER}/members/user/{USER}")), Some("groups:write")),
        (Method::DELETE, one(&format!("groups/{USER}/members/user/{USER}")), Some("groups:write")),
        (Method::GET, one("users/me/permissions"), None),
        (Method::POST, "/access/v1/evaluation".into(), None),
        (Method::POST, "/access/v1/evaluations".into(), None),
        (Method::POST, "/access/v1/search/subject".into(), None),
        (Method::POST, "/access/v1/search/resource".into(), None),
        (Method::POST, "/access/v1/search/action".into(), None),
    ]
}

both_engines! {
    async fn nobody_passes_without_the_right(db: Database) {
        let world = World::new(db);
        let admin = world.administrator().await;
        for (at, (method, path, right)) in endpoints().into_iter().enumerate() {
            let anonymous = world.ask(method.clone(), &path).raw("{").send().await;
            anonymous.expect_problem(401, "platform.unauthenticated");
            let Some(right) = right else { continue };
            let person = world.person();
            let refused = world.ask(method.clone(), &path).by(&person).raw("{").send().await;
            refused.expect_problem(403, "platform.denied");
            let name = format!("role-{at}");
            world.role(&admin, &name, &[right], &[]).await;
            world.assign(&person, &name).await;
            let reply = world.ask(method, &path).by(&person).raw("{").send().await;
            assert!(![401, 403, 500].contains(&reply.status), "{path} {right}: {}", reply.status);
        }
    }
}

#[test]
fn every_endpoint_is_in_the_document_with_its_answers() {
    let (_, document) =
        actix_web::App::new().into_utoipa_app().configure(permissions::routes).split_for_parts();
    let document = serde_json::to_value(document).unwrap();
    for (method, path, right) in endpoints() {
        let pattern = path.replace(&format!("members/user/{USER}"), "members/{type}/{member}");
        let pattern = pattern.replace(USER, "{id}").replace("roles/admin", "roles/{name}");
        let operation = &document["paths"][&pattern][method.as_str().to_lowercase()];
        let answers = operation["responses"].as_object().unwrap_or_else(|| panic!("{method} {pattern}"));
        let mut expected = vec!["400", "401", "429", "500", "503"];
        if right.is_some() || path.starts_with("/access") {
            expected.push("403");
        }
        if path.starts_with("/access") {
            expected.extend(["413", "415"]);
        } else if pattern.contains("members/") && method == Method::PUT {
            expected.push("409");
        } else if method == Method::POST || method == Method::PUT {
            expected.extend(["409", "413", "415", "422"]);
        }
        if pattern.contains('{') {
            expected.push("404");
        }
        let versioned = pattern.ends_with("{name}") || pattern.ends_with("groups/{id}");
        if versioned && method != Method::GET {
            expected.push("412");
        }
        if method == Method::DELETE {
            expected.push("409");
        }
        expected.push(match method {
            Method::POST if right.is_some() => "201",
            Method::DELETE => "204",
            Method::PUT if pattern.contains("members/") => "204",
            _ => "200",
        });
        expected.sort_unstable();
        let mut told: Vec<&str> = answers.keys().map(String::as_str).collect();
        told.sort_unstable();
        assert_eq!(told, expected, "{method} {pattern}");
        assert!(
            operation["description"].as_str().is_some_and(|text| text.contains("For ")),
            "{pattern}: who may call"
        );
    }
    let parameters = |path: &str| -> Vec<String> {
        let all = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(parameters("/api/v1/roles"), ["limit", "cursor"]);
    assert_eq!(
        parameters("/api/v1/role-assignments"),
        ["limit", "cursor", "subject", "subject_type", "role", "resource_type", "resource_id", "state"]
    );
}
