//! Between services: tokens that one made for another, and the line that asks with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::Data;
use async_trait::async_trait;
use contracts::users::{FindProfile, Profile, RemoteUsers, Users, users_routes};
use contracts::{Caller, Error, ExportPerson, Kind, Module, PersonalData, Result, Time, UserId};
use platform::clock::Clock;
use platform::http::Admission;
use platform::peers::{Circuit, Lines, Settings};
use platform::settings::MasterKey;
use platform::tokens::{
    Identity, SERVICE_LEEWAY_SECONDS, SERVICE_TOKEN_SECONDS, ServiceKey, Services, read_service_key,
};
use testkit::far;

fn key() -> ServiceKey {
    ServiceKey::parse(&MasterKey::generate().unwrap().to_base64()).unwrap()
}

fn at(seconds: i64) -> Clock {
    Clock::manual(Time::from_micros((1_800_000_000 + seconds) * 1_000_000))
}

/// A service with users that knows one with auth and permissions, and one with notifications.
struct Neighbours {
    master_key: MasterKey,
    keys: [ServiceKey; 2],
}

impl Neighbours {
    fn new() -> Self {
        Self { master_key: MasterKey::generate().unwrap(), keys: [key(), key()] }
    }

    fn token(&self, seconds: i64, issuer: Module, key: usize, audience: Module) -> String {
        Identity::new(issuer, self.keys[key].clone(), &self.master_key, at(seconds))
            .token_for(audience)
            .unwrap()
    }

    fn users(&self, seconds: i64) -> Services {
        let public = |key: usize| read_service_key(&self.keys[key].public()).unwrap();
        let keys = vec![
            (Module::Auth, public(0)),
            (Module::Permissions, public(0)),
            (Module::Notifications, public(1)),
        ];
        Services::new(vec![Module::Users], keys, &self.master_key, at(seconds))
    }
}

#[tokio::test]
async fn a_token_tells_every_module_of_the_service_that_made_it() {
    let all = Neighbours::new();
    let users = all.users(0);
    let token = all.token(0, Module::Permissions, 0, Module::Users);
    let modules = users.recognise(&token, Some(Module::Users)).await.unwrap();
    assert_eq!(modules, [Module::Auth, Module::Permissions]);
    let token = all.token(0, Module::Notifications, 1, Module::Users);
    assert_eq!(users.recognise(&token, None).await.unwrap(), [Module::Notifications]);
}

#[tokio::test]
async fn a_token_is_for_one_module_of_one_installation_and_its_own_issuer() {
    let all = Neighbours::new();
    let users = all.users(0);
    let refused = async |token: &str, audience| users.recognise(token, audience).await.unwrap_err();
    let token = all.token(0, Module::Auth, 0, Module::Notifications);
    assert_eq!(refused(&token, Some(Module::Users)).await, "for another module");
    assert_eq!(refused(&token, None).await, "for another module");
    let token = all.token(0, Module::Auth, 0, Module::Users);
    assert_eq!(refused(&token, Some(Module::Auth)).await, "for another module");
    let token = all.token(0, Module::Auth, 1, Module::Users);
    assert_eq!(refused(&token, None).await, "the key of another");
    let stranger = Neighbours::new().token(0, Module::Auth, 0, Module::Users);
    assert_eq!(refused(&stranger, None).await, "of an unknown key");
    let other = MasterKey::generate().unwrap();
    let token =
        Identity::new(Module::Auth, all.keys[0].clone(), &other, at(0)).token_for(Module::Users).unwrap();
    assert!(refused(&token, None).await.contains("master_key"));
}

#[tokio::test]
async fn a_token_is_good_for_a_minute_and_clocks_may_differ_by_half_of_one() {
    let all = Neighbours::new();
    let token = all.token(0, Module::Auth, 0, Module::Users);
    let last = SERVICE_TOKEN_SECONDS + SERVICE_LEEWAY_SECONDS - 1;
    for (seconds, good) in [
        (0, true),
        (last, true),
        (last + 1, false),
        (-SERVICE_LEEWAY_SECONDS, true),
        (-SERVICE_LEEWAY_SECONDS - 1, false),
    ] {
        let told = all.users(seconds).recognise(&token, None).await;
        assert_eq!(told.is_ok(), good, "after {seconds} s: {told:?}");
    }
}

#[test]
fn a_service_key_is_random_and_shows_only_its_public_half() {
    let text = MasterKey::generate().unwrap().to_base64();
    let key = ServiceKey::parse(&text).unwrap();
    assert_eq!(key.public().len(), 43);
    assert_eq!(key.public(), ServiceKey::parse(&text).unwrap().public());
    assert!(!format!("{key:?}").contains(text.as_str()));
    assert!(read_service_key(&key.public()).is_some());
    assert!(ServiceKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").is_err());
    for bad in ["", "short", &format!("{}x", key.public())] {
        assert!(read_service_key(bad).is_none(), "{bad}");
    }
}

/// Users that answers slowly, or never, and counts.
#[derive(Default)]
struct Slow {
    pause: Duration,
    asked: AtomicU32,
    finished: AtomicU32,
}

#[async_trait]
impl Users for Slow {
    async fn find_profile(&self, _: &Caller, _: FindProfile) -> Result<Option<Profile>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.pause).await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    }

    async fn export_person(&self, _: &Caller, _: ExportPerson) -> Result<PersonalData> {
        Err(Error::unavailable("users.busy", "Not now.").retry_after(7))
    }
}

async fn line_to(slow: &Arc<Slow>, change: impl FnOnce(&mut Settings)) -> RemoteUsers {
    let pair = far::Pair::new(Module::Users);
    let served: Arc<dyn Users> = slow.clone();
    let address = far::listen(pair.admission, move || users_routes(served.clone())).await;
    let mut settings = far::settings(&[(Module::Users, format!("http://{address}"))]);
    change(&mut settings);
    RemoteUsers(Lines::new(&settings, &pair.identity).unwrap().to(Module::Users).unwrap())
}

const ASK: FindProfile = FindProfile { user: UserId::from_uuid(uuid::Uuid::nil()) };

#[tokio::test]
async fn a_deadline_ends_the_ask_on_both_sides() {
    let slow = Arc::new(Slow { pause: Duration::from_secs(2), ..Slow::default() });
    let users = line_to(&slow, |settings| settings.deadline_ms = 200).await;
    let began = Instant::now();
    let error = users.find_profile(&Caller::module("test"), ASK).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_ref()), (Kind::Unavailable, "platform.peer_unavailable"));
    assert_eq!(error.retry_after, Some(1));
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(
        (slow.asked.load(Ordering::SeqCst), slow.finished.load(Ordering::SeqCst)),
        (1, 0),
        "nobody works on"
    );
}

#[tokio::test]
async fn what_the_other_side_says_is_no_failure_of_the_way() {
    let slow = Arc::new(Slow::default());
    let users = line_to(&slow, |settings| settings.circuit = Circuit { failures: 1, open_ms: 60_000 }).await;
    for _ in 0..3 {
        let ask = ExportPerson { user: UserId::new() };
        let error = users.export_person(&Caller::module("test"), ask).await.unwrap_err();
        assert_eq!((error.code.as_ref(), error.retry_after), ("users.busy", Some(7)));
    }
    assert_eq!(users.find_profile(&Caller::module("test"), ASK).await.unwrap(), None);
}

/// Posts to an address, with what a service sends.
async fn post(url: &str, token: &str, body: String) -> u16 {
    use contracts::wire::{CALLER_HEADER, DEADLINE_HEADER};
    let caller = serde_json::to_string(&Caller::module("test")).unwrap();
    let ask = reqwest::Client::new()
        .post(url)
        .bearer_auth(token)
        .header(CALLER_HEADER, caller)
        .header(DEADLINE_HEADER, "20000")
        .header("content-type", "application/json")
        .body(body);
    ask.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_for_one_module_opens_no_other_one_of_its_process_however_the_path_is_written() {
    let (master_key, key) = (MasterKey::generate().unwrap(), key());
    let public = read_service_key(&key.public()).unwrap();
    let keys = vec![(Module::Notifications, public)];
    let here = vec![Module::Auth, Module::Users];
    let services = Services::new(here, keys, &master_key, Clock::system());
    let identity = Identity::new(Module::Notifications, key, &master_key, Clock::system());
    let served: Arc<dyn Users> = Arc::new(Slow::default());
    let admission = Data::new(Admission { services, certificate: false });
    let address = far::listen(admission, move || users_routes(served.clone())).await;
    let (auth, users) =
        (identity.token_for(Module::Auth).unwrap(), identity.token_for(Module::Users).unwrap());
    for (path, token, status) in [
        ("internal/users", &users, 200),
        ("internal/users", &auth, 401),
        ("internal/%75sers", &auth, 401),
        ("internal/%75sers", &users, 401),
        ("internal/user%73", &auth, 401),
        ("%69nternal/users", &auth, 401),
    ] {
        let body = serde_json::to_string(&ASK).unwrap();
        let told = post(&format!("http://{address}/{path}/find_profile"), token, body).await;
        assert_eq!(told, status, "{path}");
    }
}

#[tokio::test]
async fn an_ask_may_be_longer_than_a_request_of_a_person() {
    let pair = far::Pair::new(Module::Users);
    let token = pair.identity.token_for(Module::Users).unwrap();
    let served: Arc<dyn Users> = Arc::new(Slow::default());
    let address = far::listen(pair.admission, move || users_routes(served.clone())).await;
    let body = serde_json::to_string(&ASK).unwrap() + &" ".repeat(8 * 1024 * 1024);
    assert_eq!(post(&format!("http://{address}/internal/users/find_profile"), &token, body).await, 200);
}

/// Ends every connection after so many bytes were read of it, and counts them.
async fn hang_up(answers: &'static str) -> (std::net::SocketAddr, Arc<AtomicU32>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answers.as_bytes()).await;
        }
    });
    (address, count)
}

#[tokio::test]
async fn only_what_may_be_asked_twice_is_and_only_once_more() {
    use contracts::auth::{AccountState, Auth, ChangeAccount, CreateAccount, FindAccount, RemoteAuth};
    for answers in ["", "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops"] {
        let (address, count) = hang_up(answers).await;
        let settings = far::settings(&[(Module::Auth, format!("http://{address}"))]);
        let lines = Lines::new(&settings, &far::Pair::new(Module::Auth).identity).unwrap();
        let (auth, caller) = (RemoteAuth(lines.to(Module::Auth).unwrap()), &Caller::module("test"));
        let user = UserId::new();
        let gone = |error: Error| assert_eq!(error.code, "platform.peer_unavailable");
        gone(auth.find_account(caller, FindAccount { user }).await.unwrap_err());
        assert_eq!(count.swap(0, Ordering::SeqCst), 2, "a repeatable ask");
        let change = ChangeAccount { user, revision: None, email: None, state: Some(AccountState::Disabled) };
        gone(auth.change_account(caller, change).await.unwrap_err());
        assert_eq!(count.swap(0, Ordering::SeqCst), 1, "a change");
        let create = CreateAccount {
            user,
            email: contracts::EmailAddress::parse("mia@example.org").unwrap(),
            password: None,
            state: AccountState::Active,
            invite: false,
            display_name: None,
            locale: None,
        };
        gone(auth.create_account(caller, create).await.unwrap_err());
        assert_eq!(count.swap(0, Ordering::SeqCst), 1, "a long change");
    }
}
