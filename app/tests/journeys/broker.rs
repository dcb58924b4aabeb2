//! Doorward with RabbitMQ between the outbox and its subscribers: a stranger becomes a person with a profile and a
//! message, as without; and while the broker is away, requests go on and what they told arrives later.

use std::time::Duration;

use testkit::brokers::TestBroker;
use testkit::cable::Cable;

use crate::house::{House, Shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_comes_to_be_over_the_broker_and_later_when_it_is_away() {
    let Some(broker) = TestBroker::shared().await else { return };
    let (before, rest) = broker.url().rsplit_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let cable = Cable::to(server).await;
    let url = format!("{before}@{}/{path}", cable.address());
    let extra = [("DOORWARD__RABBITMQ__URL", url.as_str()), ("DOORWARD__RABBITMQ__PREFIX", broker.prefix())];
    let mut house = House::open(Shape::Embedded, &extra).await.unwrap();
    // Registers, gets the mail with the link, follows it and logs in: nothing of that without events.
    let mia = house.person("mia").await;
    assert_eq!(mia.client.get("/api/v1/users/me").await.status, 200);
    assert!(broker.waiting("users.profiles").await.is_some(), "the events went over the broker");

    cable.pull();
    let body =
        serde_json::json!({ "email": "noa@example.test", "password": "a long and unheard-of sentence" });
    let answer = house.client().post("/api/v1/auth/registrations", &body).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    let pending = || house.finish(&["events", "list", "--pending"]).1;
    assert!(pending().contains("auth.account.registered\t-\tpending"), "{}", pending());
    cable.mend();
    for _ in 0..200 {
        if !pending().contains("\tpending\t") {
            let told = house.finish(&["events", "list"]).1;
            assert!(!told.contains("parked"), "{told}");
            house.close();
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never arrived: {}", pending());
}
