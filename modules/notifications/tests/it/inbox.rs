//! Inboxes and their streams: everything once, in order, whatever is cut off; and only for whom it is.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use actix_web::{App, web};
use contracts::{NotificationId, SessionId, UserId};
use futures_util::future::poll_fn;
use notifications::Service;
use platform::db::Database;
use platform::http::{Cursors, RequestContext};
use platform::redis::Redis;
use serde_json::{Value, json};
use testkit::both_engines;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt;

use crate::world::{World, deliver_all, while_working};

const INBOX: &str = "/api/v1/inbox";

/// One open stream, read piece by piece.
struct Listening {
    status: StatusCode,
    headers: actix_web::http::header::HeaderMap,
    body: BoxBody,
}

impl Listening {
    async fn open(world: &World, service: &Arc<Service>, token: &str, path: &str, last: Option<i64>) -> Self {
        let app = App::new()
            .into_utoipa_app()
            .app_data(web::Data::from(Arc::clone(service)))
            .app_data(web::Data::new(world.gate.gate()))
            .app_data(web::Data::new(Cursors::new(&[7; 32])))
            .configure(notifications::routes)
            .into_app()
            .wrap(RequestContext);
        let app = actix_web::test::init_service(app).await;
        let request =
            TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")));
        let request = match last {
            Some(last) => request.insert_header(("last-event-id", last.to_string())),
            None => request,
        };
        let response = actix_web::test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.into_body() }
    }

    /// The next piece; none when it ended.
    async fn next(&mut self) -> Option<String> {
        let piece = poll_fn(|cx| Pin::new(&mut self.body).poll_next(cx));
        let piece = tokio::time::timeout(Duration::from_secs(30), piece).await.expect("nothing came")?;
        Some(String::from_utf8(piece.unwrap().to_vec()).unwrap())
    }
}

/// The numbers and subjects of the events in a piece.
fn items(piece: &str) -> Vec<(i64, String)> {
    let events = piece.split("\n\n").filter(|event| event.contains("event: item"));
    events
        .map(|event| {
            let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let data: Value = serde_json::from_str(line("data: ")).unwrap();
            let id: i64 = line("id: ").parse().unwrap();
            assert_eq!(data["sequence"], id);
            (id, data["subject"].as_str().unwrap().to_owned())
        })
        .collect()
}

async fn put(world: &World, service: &Arc<Service>, user: UserId, subject: &str) {
    let body = json!({
        "to": { "user_id": user },
        "channels": ["inbox"],
        "data": { "subject": subject, "text": "Hello\n\nthere", "link": "https://example.org/" },
    });
    world.send(service, &body).await;
    deliver_all(service).await;
}

/// A person with a login of the gate, which is also what the module asks about.
fn person(world: &mut World) -> (UserId, SessionId, String) {
    world.auth = Arc::clone(&world.gate.auth);
    let user = world.auth.add_account("mia@example.org").id;
    let session = world.auth.add_session(user);
    (user, session, world.gate.token_of(user, session))
}

both_engines! {
    async fn what_comes_in_is_listed_counted_and_read(db: Database) {
        let mut world = World::new(db);
        world.settings.limits.inbox = 10;
        let service = world.service();
        let (user, other) = (world.auth.add_account("mia@example.org").id, world.auth.add_account("eve@example.org").id);
        for number in 1..=5 {
            put(&world, &service, user, &format!("News {number}")).await;
        }
        put(&world, &service, other, "For Eve").await;
        let first = world.ask_as(&service, user, Method::GET, &format!("{INBOX}?limit=2"), None).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.text);
        assert_eq!((&first.body["unread_count"], &first.body["last_sequence"]), (&json!(5), &json!(5)));
        let item = &first.body["items"][0];
        assert_eq!((&item["subject"], &item["text"]), (&json!("News 5"), &json!("Hello\n\nthere")));
        assert_eq!((&item["links"], &item["read_at"], &item["category"]), (&json!(["https://example.org/"]), &Value::Null, &json!("general")));
        assert!(first.header("link").contains("rel=\"next\""), "{}", first.header("link"));
        let next = format!("{INBOX}?limit=2&cursor={}", first.body["next_cursor"].as_str().unwrap());
        let second = world.ask_as(&service, user, Method::GET, &next, None).await;
        assert_eq!(second.body["items"][0]["subject"], "News 3");
        assert_eq!(world.ask_as(&service, other, Method::GET, &next, None).await.code(), "platform.invalid_cursor");

        let id = item["id"].as_str().unwrap().to_owned();
        let read = format!("{INBOX}/{id}/read");
        assert_eq!(world.ask_as(&service, other, Method::POST, &read, None).await.code(), "notifications.item_not_found");
        for _ in 0..2 {
            assert_eq!(world.ask_as(&service, user, Method::POST, &read, None).await.status, StatusCode::NO_CONTENT);
        }
        let unread = world.ask_as(&service, user, Method::GET, &format!("{INBOX}?unread=true"), None).await;
        assert_eq!((unread.body["items"].as_array().unwrap().len(), &unread.body["unread_count"]), (4, &json!(4)));
        assert_eq!(world.ask_as(&service, user, Method::POST, &format!("{INBOX}/read"), None).await.status, StatusCode::NO_CONTENT);
        let all = world.ask_as(&service, user, Method::GET, INBOX, None).await;
        assert_eq!((all.body["items"].as_array().unwrap().len(), &all.body["unread_count"]), (5, &json!(0)));
        let hers = world.ask_as(&service, other, Method::GET, INBOX, None).await;
        assert_eq!((&hers.body["unread_count"], &hers.body["last_sequence"]), (&json!(1), &json!(1)));
        for wrong in ["limit=0", "unread=maybe", "cursor=x", "more=1"] {
            let answer = world.ask_as(&service, user, Method::GET, &format!("{INBOX}?{wrong}"), None).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
        let nothing = format!("{INBOX}/{}/read", NotificationId::new());
        assert_eq!(world.ask_as(&service, user, Method::POST, &nothing, None).await.status, StatusCode::NOT_FOUND);
    }

    async fn a_reader_that_is_cut_off_at_random_sees_everything_once_and_in_order(db: Database) {
        let mut world = World::new(db);
        world.settings.stream.poll_ms = 20;
        world.settings.limits.inbox = 1_000;
        let (user, _, token) = person(&mut world);
        let (near, far) = (world.service(), world.service());
        let count = 60_i64;
        let writing = async {
            for number in 1..=count {
                // The one at the other process wakes nobody here: the stream must look by itself.
                let service = if rand_bool() { &near } else { &far };
                put(&world, service, user, &format!("News {number}")).await;
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            let mut seen = Vec::new();
            let mut last = 0;
            while last < count {
                let mut stream = Listening::open(&world, &near, &token, "/api/v1/inbox/stream", Some(last)).await;
                assert_eq!(stream.status, StatusCode::OK);
                'open: for _ in 0..(rand_below(4) + 1) {
                    let Some(piece) = stream.next().await else { break };
                    for (id, subject) in items(&piece) {
                        seen.push((id, subject));
                        last = id;
                        // Cut off in the middle of a piece: what came after it is not seen.
                        if rand_below(5) == 0 {
                            break 'open;
                        }
                    }
                    if last == count {
                        break;
                    }
                }
            }
            seen
        };
        let ((), seen) = tokio::join!(writing, reading);
        let wanted: Vec<_> = (1..=count).map(|number| (number, format!("News {number}"))).collect();
        assert_eq!(seen, wanted);
    }

    async fn what_comes_in_at_one_process_wakes_a_stream_at_another_over_redis(db: Database) {
        let Some((url, _server)) = testkit::redis::harmless() else { return };
        let mut world = World::new(db);
        // Nobody looks by himself before this test is over.
        world.settings.stream.poll_ms = 60_000;
        world.settings.stream.heartbeat_seconds = 300;
        let (user, _, token) = person(&mut world);
        let key_prefix = format!("test-{user}");
        let settings = platform::redis::Settings { url: url.as_str().into(), key_prefix, ..Default::default() };
        let (stop, mut links) = (CancellationToken::new(), Vec::new());
        let mut process = || {
            let redis = Redis::open(&settings).unwrap().unwrap();
            let (run, stop) = (redis.clone(), stop.clone());
            links.push(async move { run.run(stop).await });
            world.redis = Some(redis.clone());
            (world.service(), redis)
        };
        let ((here, hers), (there, theirs)) = (process(), process());
        let (one, other) = (links.remove(0), links.remove(0));
        let test = while_working(std::slice::from_ref(&there), async {
            let mut stream = Listening::open(&world, &there, &token, "/api/v1/inbox/stream", None).await;
            stream.next().await;
            while !format!("{hers:?} {theirs:?}").ends_with("(connected) Redis(connected)") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            put(&world, &here, user, "News").await;
            let piece = stream.next().await.unwrap();
            assert_eq!(items(&piece), [(1, "News".to_owned())]);
            stop.cancel();
        });
        tokio::join!(one, other, test);
    }

    async fn numbers_have_no_gaps_whoever_writes_at_the_same_time(db: Database) {
        let mut world = World::new(db);
        world.settings.limits.inbox = 1_000;
        let user = world.auth.add_account("mia@example.org").id;
        let services: Vec<_> = (0..4).map(|_| world.service()).collect();
        for number in 0..80 {
            let body = json!({ "to": { "user_id": user }, "channels": ["inbox"], "data": { "subject": format!("{number}"), "text": "x" } });
            world.send(&services[number % 4], &body).await;
        }
        let all = services.iter().map(|service| deliver_all(service));
        futures_util::future::join_all(all).await;
        let listed = world.ask_as(&services[0], user, Method::GET, &format!("{INBOX}?limit=200"), None).await;
        let numbers: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|item| item["sequence"].as_i64().unwrap()).collect();
        assert_eq!(numbers, (1..=80).rev().collect::<Vec<_>>());
    }

    async fn a_stream_begins_where_it_is_told_to_and_says_where_it_is(db: Database) {
        let mut world = World::new(db);
        let (user, _, token) = person(&mut world);
        let service = world.service();
        for number in 1..=3 {
            put(&world, &service, user, &format!("News {number}")).await;
        }
        let path = "/api/v1/inbox/stream";
        let mut fresh = Listening::open(&world, &service, &token, path, None).await;
        assert_eq!(fresh.headers.get("content-type").unwrap(), "text/event-stream");
        assert_eq!(fresh.next().await.unwrap(), "retry: 2000\nid: 3\n\n", "cut off now, a browser goes on from here");
        put(&world, &service, user, "News 4").await;
        assert_eq!(items(&fresh.next().await.unwrap()), [(4, "News 4".to_owned())]);

        let mut after = Listening::open(&world, &service, &token, &format!("{path}?after=2"), None).await;
        assert_eq!(after.next().await.unwrap(), "retry: 2000\n\n");
        assert_eq!(items(&after.next().await.unwrap()).len(), 2);
        let mut header = Listening::open(&world, &service, &token, &format!("{path}?after=0"), Some(3)).await;
        header.next().await;
        assert_eq!(items(&header.next().await.unwrap()).len(), 1, "the header goes before the query");
        let mut lost = Listening::open(&world, &service, &token, path, Some(1_000)).await;
        lost.next().await;
        put(&world, &service, user, "News 5").await;
        assert_eq!(items(&lost.next().await.unwrap()), [(5, "News 5".to_owned())]);
        for (query, header) in [("", "x"), ("", "-1"), ("", "9223372036854775808"), ("?after=9223372036854775808", "3")] {
            let request = TestRequest::get().uri(&format!("{path}{query}")).insert_header(("last-event-id", header));
            let request = request.insert_header(("authorization", format!("Bearer {token}")));
            let status = world.call(&service, request).await.status;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{query} {header}");
        }
    }

    async fn a_stream_ends_with_its_login(db: Database) {
        let mut world = World::new(db);
        world.settings.stream.poll_ms = 20;
        let (user, session, token) = person(&mut world);
        let service = world.service();
        let path = "/api/v1/inbox/stream";
        let mut silent = Listening::open(&world, &service, &token, path, None).await;
        silent.next().await;
        world.auth.end_session(user, session);
        assert_eq!(silent.next().await, None, "nothing came in, and still it ends");

        let session = world.auth.add_session(user);
        world.settings.stream.poll_ms = 60_000;
        let patient = world.service();
        let mut stream = Listening::open(&world, &patient, &world.gate.token_of(user, session), path, None).await;
        stream.next().await;
        world.auth.end_session(user, session);
        put(&world, &patient, user, "Not for you").await;
        assert_eq!(stream.next().await, None, "what comes in after the end is not told");
        let refused = Listening::open(&world, &service, &token, path, None).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }

    async fn a_few_people_can_not_take_every_stream(db: Database) {
        let mut world = World::new(db);
        (world.settings.stream.per_person, world.settings.stream.per_process) = (3, 4);
        let (_, _, mia) = person(&mut world);
        let token = |address: &str| {
            let user = world.auth.add_account(address).id;
            world.gate.token_of(user, world.auth.add_session(user))
        };
        let (eve, ann, bob, joe) = (token("eve@e.org"), token("ann@e.org"), token("bob@e.org"), token("joe@e.org"));
        let service = world.service();
        let open = |token: &str| {
            let token = token.to_owned();
            let (world, service) = (&world, &service);
            async move { Listening::open(world, service, &token, "/api/v1/inbox/stream", None).await }
        };
        let mut hers = Vec::new();
        for _ in 0..3 {
            hers.push(open(&mia).await);
            hers.last_mut().unwrap().next().await;
        }
        let mut others = vec![open(&eve).await, open(&ann).await, open(&bob).await];
        for stream in &mut others {
            assert_eq!(stream.status, StatusCode::OK);
            assert!(stream.next().await.is_some());
        }
        let mut last = hers.pop().unwrap();
        for stream in &mut hers {
            assert_eq!(stream.next().await, None, "her oldest ones make place");
        }
        for token in [&mia, &eve, &joe] {
            let refused = open(token).await;
            assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "nobody has several more");
        }
        drop(others.pop());
        assert_eq!(open(&joe).await.status, StatusCode::OK, "a place is given back");
        service.end_streams();
        assert_eq!(last.next().await, None);
    }

    async fn streams_are_few_live_and_end_with_the_process(db: Database) {
        let mut world = World::new(db);
        world.settings.stream.per_person = 2;
        world.settings.stream.heartbeat_seconds = 1;
        let (_, _, token) = person(&mut world);
        let service = world.service();
        let path = "/api/v1/inbox/stream";
        let mut first = Listening::open(&world, &service, &token, path, None).await;
        let second = Listening::open(&world, &service, &token, path, None).await;
        let third = Listening::open(&world, &service, &token, path, None).await;
        assert_eq!((third.status, third.headers.get("retry-after").is_some()), (StatusCode::TOO_MANY_REQUESTS, true));
        drop(second);
        assert_eq!(Listening::open(&world, &service, &token, path, None).await.status, StatusCode::OK, "a place is given back");
        first.next().await;
        assert_eq!(first.next().await.unwrap(), ":\n\n", "a sign of life");
        service.end_streams();
        assert_eq!(first.next().await, None);
        assert_eq!(Listening::open(&world, &service, &token, path, None).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

fn rand_bool() -> bool {
    rand_below(2) == 0
}

/// A number below `end`, from what the standard library has at hand.
fn rand_below(end: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) % end
}
