//! Floods: who is turned away, who is not, and what the headers tell.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use contracts::Error;
use platform::clock::Clock;
use platform::http::{Anyone, ForwardedHeader, LimitClass, Limits, Problem, Proxies, User};
use platform::limits::Limit;

use super::http_support::{Answer, Stage, send};

async fn log_in(_: Anyone) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

async fn change(_: User) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

async fn guarded(_: Anyone) -> Result<HttpResponse, Problem> {
    Err(Error::limited("auth.too_many_failures", "Please wait.").retry_after(30).into())
}

fn per_minute(capacity: u32) -> Option<Limit> {
    Some(Limit { capacity, window: Duration::from_secs(60) })
}

/// Three logins a minute for an address; three changes for an account; ten guarded ones for an address.
fn limits(clock: &Clock) -> web::Data<Limits> {
    let class = |name, per_address, per_account| LimitClass { name, per_address, per_account };
    let limits = Limits::new(clock.clone(), 1_000)
        .with(Method::POST, "/logins/{kind}", class("logins", per_minute(3), None))
        .with(Method::POST, "/changes", class("changes", None, per_minute(3)))
        .with(Method::POST, "/guarded", class("guarded", per_minute(10), None))
        .with(Method::GET, "/changes", class("reads", None, None));
    web::Data::new(limits)
}

struct World {
    stage: Stage,
    limits: web::Data<Limits>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new();
        let limits = limits(&stage.clock);
        Self { stage, limits }
    }

    async fn send(&self, request: TestRequest) -> Answer {
        let proxies = web::Data::new(Proxies::parse(["10.0.0.0/8"], ForwardedHeader::default()).unwrap());
        let routes = |config: &mut web::ServiceConfig| {
            config
                .app_data(self.limits.clone())
                .app_data(proxies)
                .route("/logins/{kind}", web::post().to(log_in))
                .route("/changes", web::post().to(change))
                .route("/changes", web::get().to(change))
                .route("/guarded", web::post().to(guarded));
        };
        send(&self.stage, routes, request).await
    }

    async fn log_in_from(&self, peer: &str, forwarded: &str) -> u16 {
        let request = TestRequest::post().uri("/logins/password").peer_addr(peer.parse().unwrap());
        self.send(request.insert_header(("x-forwarded-for", forwarded))).await.status.as_u16()
    }
}

#[actix_web::test]
async fn a_flood_is_turned_away_with_the_time_to_come_back() {
    let world = World::new();
    let request = |path: &str| TestRequest::post().uri(path).peer_addr("192.0.2.7:1".parse().unwrap());
    for (path, left) in [("/logins/password", 2), ("/logins/%70assword", 1), ("/%6Cogins/passkey?x=1", 0)] {
        let answer = world.send(request(path)).await;
        assert_eq!(answer.status, 204, "{path}");
        let told = format!("\"logins.address\";r={left};t={}", 20 * (3 - left));
        assert_eq!(answer.header("ratelimit"), told, "{path}");
        assert_eq!(answer.header("ratelimit-policy"), "\"logins.address\";q=3;w=60");
    }
    let refused = world.send(request("/logins/password")).await;
    assert_eq!(refused.problem().1, "platform.too_many_requests");
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "20"));
    assert_eq!(refused.header("ratelimit"), "\"logins.address\";r=0;t=20");
    assert_eq!(world.log_in_from("192.0.2.8:1", "192.0.2.7").await, 204, "a neighbour");
    world.stage.clock.advance(Duration::from_secs(20));
    assert_eq!(world.send(request("/logins/password")).await.status, 204);
}

#[actix_web::test]
async fn an_account_is_counted_wherever_it_asks_from() {
    let world = World::new();
    let (mia, tom) = (world.stage.log_in().2, world.stage.log_in().2);
    let ask = |method: Method, token: &str, address: u8| {
        let peer = format!("192.0.2.{address}:1").parse().unwrap();
        let bearer = ("authorization", format!("Bearer {token}"));
        TestRequest::default().method(method).uri("/changes").peer_addr(peer).insert_header(bearer)
    };
    for address in 1..=3 {
        let answer = world.send(ask(Method::POST, &mia, address)).await;
        assert_eq!(answer.status, 204);
        assert!(answer.header("ratelimit").starts_with("\"changes.account\";r="), "{:?}", answer.headers);
    }
    assert_eq!(world.send(ask(Method::POST, &mia, 9)).await.status, 429);
    assert_eq!(world.send(ask(Method::POST, &tom, 9)).await.status, 204);
    let read = world.send(ask(Method::GET, &mia, 9)).await;
    assert_eq!((read.status.as_u16(), read.header("ratelimit")), (204, ""), "reads have no limit");
    let nobody = world.send(TestRequest::post().uri("/changes")).await;
    assert_eq!(nobody.status, 401);
}

#[actix_web::test]
async fn another_limits_refusal_is_told_in_the_same_headers() {
    let world = World::new();
    let answer = world.send(TestRequest::post().uri("/guarded")).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "30"));
    let told = "\"guarded.address\";r=9;t=6, \"auth.too_many_failures\";r=0;t=30";
    assert_eq!(answer.header("ratelimit"), told);
}

#[actix_web::test]
async fn two_hundred_addresses_of_one_line_are_one() {
    let world = World::new();
    let mut passed = 0;
    for host in 0..200 {
        let forwarded = match host % 4 {
            0 => format!("2001:db8:1:2::{host:x}"),
            1 => format!("2001:0DB8:0001:0002:{host:x}:0:0:1"),
            2 => format!("6.6.6.{host}, [2001:db8:1:2:ffff::{host:x}]:443"),
            _ => format!("2001:db8:1:2:{host:x}::, 10.0.0.{host}"),
        };
        passed += u32::from(world.log_in_from("10.0.0.1:1", &forwarded).await == 204);
    }
    assert_eq!(passed, 3);
    assert_eq!(world.log_in_from("10.0.0.1:1", "2001:db8:1:3::1").await, 204, "the next network");
    for spelling in ["1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304"] {
        assert_eq!(world.log_in_from("10.0.0.1:1", spelling).await, 204, "{spelling}");
    }
    assert_eq!(world.log_in_from("10.0.0.1:1", "[::ffff:1.2.3.4]:80").await, 429);
    assert_eq!(world.log_in_from("1.2.3.4:99", "9.9.9.9").await, 429, "who is no proxy is himself");
}
