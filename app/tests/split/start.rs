//! Settings that do not fit together stop the start, with a sentence for each.

use contracts::Module;
use platform::tokens::ServiceKey;

use crate::house::{House, Shape};
use crate::plan::Plan;

/// What the check says of these settings; those that are set later count.
fn check(house: &mut House, extra: &[(String, String)]) -> (bool, String) {
    for (name, value) in extra {
        house.set(name, value);
    }
    house.finish(&["config", "check"])
}

fn with(plan: &Plan, name: &str, value: &str) -> Vec<(String, String)> {
    let mut extra = plan.settings(Module::Users);
    extra.retain(|(known, _)| known != name);
    extra.push((name.to_owned(), value.to_owned()));
    extra
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_fit_are_told_one_by_one() {
    let plan = Plan::new("amqp://127.0.0.1:1", "doorward");
    let own = ServiceKey::parse(&plan.keys[&Module::Users]).unwrap().public();
    let users_address = format!("http://127.0.0.1:{}", testkit::ports::free(1));
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    assert!(check(&mut house, &plan.settings(Module::Users)).0);
    for (name, value, words) in [
        ("DOORWARD__MODULES", "user", vec!["`modules` names \"user\""]),
        ("DOORWARD__MODULES", "", vec!["`modules` is empty"]),
        ("DOORWARD__PEERS__AUTH", "", vec!["auth is not in `modules`, and peers.auth is not set"]),
        (
            "DOORWARD__PEERS__USERS",
            users_address.as_str(),
            vec!["peers.users is set, but `modules` has users"],
        ),
        ("DOORWARD__PEERS__AUTH", "auth.internal:9090", vec!["peers.auth must be http(s)://HOST:PORT"]),
        ("DOORWARD__PEERS__KEY", "", vec!["peers.key is not set"]),
        (
            "DOORWARD__PEERS__KEY",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            vec!["peers.key can't be used"],
        ),
        (
            "DOORWARD__PEERS__KEYS__AUTH",
            "",
            vec!["peers.keys.auth must be the public key", "doorward keys service"],
        ),
        (
            "DOORWARD__PEERS__KEYS__AUTH",
            own.as_str(),
            vec!["peers.keys.auth is the key of this service itself"],
        ),
        ("DOORWARD__SECRETS__MASTER_KEY", "", vec!["secrets.master_key is not set, and not every module"]),
        ("DOORWARD__RABBITMQ__URL", "", vec!["rabbitmq.url is not set, and not every module"]),
        ("DOORWARD__PUBLIC_URL", "", vec!["public_url is not set, and not every module"]),
        ("DOORWARD__PEERS__DEADLINE_MS", "1", vec!["peers.deadline_ms must be from 50 to 60000"]),
        ("DOORWARD__PEERS__TLS__CERTIFICATE_FILE", "/x.pem", vec!["peers.tls.key_file go together"]),
        ("DOORWARD__PEERS__TLS__CA_FILE", "/x.pem", vec!["begins with http://"]),
        ("DOORWARD__SERVER__MANAGEMENT__TLS__CLIENT_CA_FILE", "/x.pem", vec!["client_ca_file needs"]),
    ] {
        let (good, told) = check(&mut house, &with(&plan, name, value));
        assert!(!good, "{name}={value} is taken");
        for sentence in words {
            assert!(told.contains(sentence), "{name}={value} tells {told}");
        }
        assert!(!told.contains(&plan.keys[&Module::Users]), "the key shows itself: {told}");
        for (name, _) in with(&plan, name, value) {
            house.unset(&name);
        }
    }
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_for_the_others_is_printed_and_the_own_one_never() {
    let plan = Plan::new("amqp://127.0.0.1:1", "doorward");
    let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
    let told = house.finish(&["keys", "service"]);
    assert!(!told.0 && told.1.contains("peers.key can't be used"), "{told:?}");
    house.set("DOORWARD__PEERS__KEY", &plan.keys[&Module::Users]);
    // While the settings are being written the others are not known yet.
    house.set("DOORWARD__MODULES", "users");
    let (good, told) = house.finish(&["keys", "service"]);
    assert!(good, "{told}");
    assert_eq!(told.trim(), ServiceKey::parse(&plan.keys[&Module::Users]).unwrap().public());
    let (_, shown) = house.finish(&["config", "show"]);
    assert!(
        !shown.contains(&plan.keys[&Module::Users]) && shown.contains("modules = [\"users\"]"),
        "{shown}"
    );
    house.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_where_the_module_is() {
    let Some(fleet) = crate::fleet::Fleet::open().await else { return };
    for arguments in [vec!["keys", "rotate"], vec!["admin", "create", "--email", "a@example.org", "--invite"]]
    {
        for module in [Module::Users, Module::Permissions, Module::Notifications] {
            let (good, told) = fleet.services[&module].finish(&arguments);
            assert!(!good && told.contains("a service without auth"), "{module} {arguments:?}: {told}");
        }
        let (good, told) = fleet.services[&Module::Auth].finish(&arguments);
        assert!(good, "{arguments:?}: {told}");
    }
    for house in fleet.services.values() {
        assert!(house.finish(&["events", "list"]).0);
    }
    fleet.close().await;
}
