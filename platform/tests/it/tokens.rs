//! Access tokens as an attacker would send them, and keys as they come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use contracts::{Error, SessionId, Time, UserId};
use platform::cache::{Cache, Settings};
use platform::clock::Clock;
use platform::tokens::{
    AccessClaims, Algorithm, KeySource, PublicKeys, Refused, Signer, Verifier, generate_key,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::http_support::{ISSUER, claims, new_signer};

/// Keys that a test changes, and how often somebody asked for them.
#[derive(Default)]
struct Keys {
    keys: Mutex<Option<PublicKeys>>,
    asked: AtomicUsize,
}

impl Keys {
    fn set(&self, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.public_key().clone()).collect();
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(PublicKeys::new(keys));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl KeySource for Keys {
    async fn load(&self) -> Result<PublicKeys, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keys.ok_or_else(|| Error::unavailable("tests.down", "Down."))
    }
}

struct Stage {
    clock: Clock,
    signer: Signer,
    keys: Arc<Keys>,
    verifier: Verifier,
}

fn stage_with(algorithm: Algorithm) -> Stage {
    let clock = Clock::manual(Time::from_seconds(1_800_000_000));
    let (signer, keys) = (new_signer(algorithm), Arc::<Keys>::default());
    keys.set(&[&signer]);
    let verifier = Verifier::new(ISSUER, ISSUER, keys.clone(), clock.clone());
    Stage { clock, signer, keys, verifier }
}

fn stage() -> Stage {
    stage_with(Algorithm::EdDsa)
}

impl Stage {
    fn claims(&self) -> AccessClaims {
        claims(self.clock.now(), UserId::new(), SessionId::new())
    }

    fn token(&self) -> String {
        self.signer.sign_access(&self.claims()).unwrap()
    }

    /// A token with one claim changed, or taken away by null.
    fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = serde_json::to_value(self.claims()).unwrap();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            value => claims[claim] = value,
        }
        self.signer.sign("at+jwt", &claims).unwrap()
    }

    async fn refuses(&self, token: &str) -> bool {
        matches!(self.verifier.verify(token).await, Err(Refused::Token(_)))
    }
}

fn encode(value: &Value) -> String {
    BASE64.encode(serde_json::to_vec(value).unwrap())
}

#[tokio::test]
async fn a_good_token_says_who_it_is_for_with_either_algorithm() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let stage = stage_with(algorithm);
        let claims = stage.claims();
        let token = stage.signer.sign_access(&claims).unwrap();
        assert_eq!(stage.verifier.verify(&token).await.unwrap(), claims);
        let header: Value =
            serde_json::from_slice(&BASE64.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        let kid = stage.signer.kid();
        assert_eq!(header, json!({ "alg": algorithm.name(), "typ": "at+jwt", "kid": kid }));
    }
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let stage = stage();
    let token = stage.token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let payload = message.split_once('.').unwrap().1;
    for alg in ["none", "None", "nOnE", "NONE", "", "HS256", "ES256", "RS256", "eddsa"] {
        let header = encode(&json!({ "alg": alg, "typ": "at+jwt", "kid": stage.signer.kid() }));
        for signature in ["", signature] {
            assert!(stage.refuses(&format!("{header}.{payload}.{signature}")).await, "{alg}");
        }
        assert!(stage.refuses(&format!("{header}.{payload}")).await, "{alg}");
    }
    assert!(stage.refuses(&format!("{message}.")).await);
    assert!(stage.refuses(message).await);
}

#[tokio::test]
async fn a_public_key_is_not_a_shared_secret() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let stage = stage_with(algorithm);
        let keys = PublicKeys::new(vec![stage.signer.public_key().clone()]);
        let set = serde_json::to_value(&keys).unwrap();
        let jwk = set["keys"][0].clone();
        let raw = BASE64.decode(jwk["x"].as_str().unwrap()).unwrap();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", jwk["x"].as_str().unwrap());
        let secrets = [
            raw,
            jwk["x"].as_str().unwrap().as_bytes().to_vec(),
            pem.into_bytes(),
            jwk.to_string().into_bytes(),
            set.to_string().into_bytes(),
            stage.signer.kid().as_bytes().to_vec(),
            Vec::new(),
        ];
        let token = stage.token();
        let payload = token.split('.').nth(1).unwrap();
        for (secret, alg) in secrets.iter().flat_map(|secret| [(secret, "HS256"), (secret, algorithm.name())])
        {
            let header = encode(&json!({ "alg": alg, "typ": "at+jwt", "kid": stage.signer.kid() }));
            let message = format!("{header}.{payload}");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            assert!(stage.refuses(&format!("{message}.{}", BASE64.encode(tag))).await, "{alg}");
        }
    }
}

#[tokio::test]
async fn a_key_of_another_algorithm_does_not_verify() {
    let stage = stage();
    let other = new_signer(Algorithm::Es256);
    stage.keys.set(&[&stage.signer, &other]);
    let token = other.sign_access(&stage.claims()).unwrap();
    assert!(stage.verifier.verify(&token).await.is_ok());
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap();
    for (member, value) in [("kid", stage.signer.kid()), ("alg", "EdDSA")] {
        header[member] = value.into();
        assert!(stage.refuses(&format!("{}.{rest}", encode(&header))).await);
    }
}

#[tokio::test]
async fn a_token_of_another_kind_is_not_an_access_token() {
    let stage = stage();
    for kind in ["JWT", "jwt", "", "id+jwt", "at+JWT", "application/at+jwt", "logout+jwt"] {
        assert!(stage.refuses(&stage.signer.sign(kind, &stage.claims()).unwrap()).await, "{kind}");
    }
}

#[tokio::test]
async fn every_claim_is_required_and_typed() {
    let stage = stage();
    let now = stage.clock.now().seconds();
    for claim in ["iss", "aud", "exp", "iat", "jti", "sub", "sid", "client_id", "auth_time"] {
        assert!(stage.refuses(&stage.with(claim, Value::Null)).await, "without {claim}");
        for value in [json!([]), json!({}), json!(true), json!("x"), json!(1), json!(1.5), json!("1e9")] {
            // A client may be called x, and 1970 is long ago; nothing else of these is good for any claim.
            let named = claim == "client_id" && value.is_string();
            let long_ago = ["iat", "auth_time"].contains(&claim) && value == json!(1);
            if named || long_ago {
                continue;
            }
            assert!(stage.refuses(&stage.with(claim, value.clone())).await, "{claim} = {value}");
        }
    }
    for (claim, value) in [
        ("iss", json!("https://id.example.test/")),
        ("iss", json!("https://evil.test")),
        ("aud", json!([ISSUER])),
        ("aud", json!("https://id.example.test.evil.test")),
        ("exp", json!(now.to_string())),
        ("exp", json!(now as f64 + 600.0)),
        ("exp", json!(now - 6)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(u64::MAX)),
        ("iat", json!(now + 60)),
        ("iat", json!(now + 600)),
        ("iat", json!(i64::MAX)),
        ("auth_time", json!(now + 60)),
        ("sub", json!("")),
        ("sub", json!("usr'--")),
    ] {
        assert!(stage.refuses(&stage.with(claim, value.clone())).await, "{claim} = {value}");
    }
    let twice = r#"{"iss":"x","iss":"y"}"#;
    let token = stage.token();
    let mut parts = token.split('.');
    let (header, _, signature) = (parts.next().unwrap(), parts.next(), parts.next().unwrap());
    assert!(stage.refuses(&format!("{header}.{}.{signature}", BASE64.encode(twice))).await);
}

#[tokio::test]
async fn a_token_ends_when_it_says() {
    let stage = stage();
    let token = stage.token();
    stage.clock.advance(Duration::from_secs(604));
    assert!(stage.verifier.verify(&token).await.is_ok());
    stage.clock.advance(Duration::from_secs(1));
    assert!(stage.refuses(&token).await);
}

#[tokio::test]
async fn a_key_is_found_in_our_own_set_and_nowhere_else() {
    let stage = stage();
    // Whoever is connected to here would be seen.
    let sink = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", sink.local_addr().unwrap());
    let pkcs8 = generate_key(Algorithm::EdDsa).unwrap();
    let ours = Signer::from_pkcs8(Algorithm::EdDsa, &pkcs8).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap();
    stage.keys.set(&[&ours]);
    let claims = encode(&serde_json::to_value(stage.claims()).unwrap());
    // Signed by hand, because the mint has no way to say such things.
    let signed = |header: &Value| {
        let message = format!("{}.{claims}", encode(header));
        format!("{message}.{}", BASE64.encode(pair.sign(message.as_bytes())))
    };
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": ours.kid() });
    assert!(stage.verifier.verify(&signed(&header)).await.is_ok(), "the signature is good");
    let jwk =
        serde_json::to_value(PublicKeys::new(vec![ours.public_key().clone()])).unwrap()["keys"][0].clone();
    for (member, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", jwk),
        ("x5c", json!(["MII"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let mut more = header.clone();
        more[member] = value.clone();
        assert!(stage.refuses(&signed(&more)).await, "{member}");
    }
    for kid in [
        "../../dev/null",
        "' OR 1=1--",
        "",
        "\0",
        "http://169.254.169.254/",
        url.as_str(),
        &"k".repeat(10_000),
    ] {
        let mut other = header.clone();
        other["kid"] = kid.into();
        assert!(stage.refuses(&signed(&other)).await, "{kid:.20}");
    }
    for kid in [json!(null), json!(1), json!([ours.kid()])] {
        let mut other = header.clone();
        other["kid"] = kid;
        assert!(stage.refuses(&signed(&other)).await);
    }
    let connected = tokio::time::timeout(Duration::from_millis(50), sink.accept()).await;
    assert!(connected.is_err(), "somebody connected");
}

#[tokio::test]
async fn a_token_is_good_only_to_the_last_character() {
    let stage = stage();
    let token = stage.token();
    assert!(stage.verifier.verify(&token).await.is_ok());
    for length in 0..token.len() {
        assert!(stage.refuses(token.get(..length).unwrap()).await, "first {length}");
    }
    for end in ["A", "=", "==", ".", ".A", " ", "\n", "%3D", "\0", "é"] {
        assert!(stage.refuses(&format!("{token}{end}")).await, "{end:?}");
        assert!(stage.refuses(&format!("{end}{token}")).await, "{end:?}");
    }
    for (place, character) in token.char_indices() {
        let mut changed = token.clone();
        let other = match character {
            '.' => 'A',
            lower if lower.is_ascii_lowercase() => lower.to_ascii_uppercase(),
            upper if upper.is_ascii_uppercase() => upper.to_ascii_lowercase(),
            _ => 'A',
        };
        changed.replace_range(place..=place, &other.to_string());
        assert!(changed == token || stage.refuses(&changed).await, "character {place}");
    }
    for (from, to) in [(".", ".."), (".", "=."), ("-", "+"), ("_", "/")] {
        let changed = token.replacen(from, to, 1);
        assert!(changed == token || stage.refuses(&changed).await, "{from} → {to}");
    }
    // The last character of a signature carries two spare bits; only one spelling of them is good.
    let (body, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| last != other.to_string()) {
        assert!(stage.refuses(&format!("{body}{other}")).await, "{other}");
    }
    assert!(stage.refuses(&"A".repeat(100_000)).await);
}

#[tokio::test]
async fn a_new_key_is_found_and_an_unknown_one_is_asked_for_only_now_and_then() {
    let stage = stage();
    let token = stage.token();
    for _ in 0..20 {
        stage.verifier.verify(&token).await.unwrap();
    }
    assert_eq!(stage.keys.asked(), 1);
    let next = new_signer(Algorithm::EdDsa);
    let with_next = next.sign_access(&stage.claims()).unwrap();
    assert!(stage.refuses(&with_next).await);
    stage.keys.set(&[&stage.signer, &next]);
    for _ in 0..100 {
        assert!(stage.refuses(&with_next).await);
    }
    assert_eq!(stage.keys.asked(), 1, "ten seconds are not over");
    stage.clock.advance(Duration::from_secs(10));
    assert!(stage.verifier.verify(&with_next).await.is_ok());
    assert_eq!(stage.keys.asked(), 2);
    let third = new_signer(Algorithm::EdDsa);
    stage.keys.set(&[&next, &third]);
    stage.verifier.reload().await.unwrap();
    assert!(stage.verifier.verify(&third.sign_access(&stage.claims()).unwrap()).await.is_ok());
}

#[tokio::test]
async fn many_who_wait_for_the_first_keys_ask_once() {
    let stage = stage();
    let token = stage.token();
    let all = futures_util::future::join_all((0..50).map(|_| stage.verifier.verify(&token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(stage.keys.asked(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_stops_counting_even_for_a_token_that_is_remembered() {
    let stage = stage();
    let remembered = Cache::new("tokens", &Settings::default());
    let verifier =
        Verifier::new(ISSUER, ISSUER, stage.keys.clone(), stage.clock.clone()).remembering(remembered);
    let token = stage.token();
    for _ in 0..5 {
        verifier.verify(&token).await.unwrap();
    }
    stage.keys.set(&[&new_signer(Algorithm::EdDsa)]);
    stage.clock.advance(Duration::from_secs(301));
    assert!(matches!(verifier.verify(&token).await, Err(Refused::Token(_))));
}

#[tokio::test]
async fn a_remembered_token_still_ends() {
    let stage = stage();
    let remembered = Cache::new("tokens", &Settings::default());
    let verifier =
        Verifier::new(ISSUER, ISSUER, stage.keys.clone(), stage.clock.clone()).remembering(remembered);
    let token = stage.token();
    for _ in 0..5 {
        verifier.verify(&token).await.unwrap();
    }
    stage.clock.advance(Duration::from_secs(700));
    assert!(matches!(verifier.verify(&token).await, Err(Refused::Token("expired"))));
}

#[tokio::test]
async fn without_keys_nothing_is_said_and_old_keys_outlive_a_failure() {
    let stage = stage();
    let token = stage.token();
    let down = Arc::<Keys>::default();
    let verifier = Verifier::new(ISSUER, ISSUER, down.clone(), stage.clock.clone());
    for _ in 0..10 {
        let refused = verifier.verify(&token).await.unwrap_err();
        assert!(matches!(refused, Refused::Keys(error) if error.kind == contracts::Kind::Unavailable));
    }
    assert_eq!(down.asked(), 1);
    down.set(&[&stage.signer]);
    stage.clock.advance(Duration::from_secs(1));
    assert!(verifier.verify(&token).await.is_ok());
    *down.keys.lock().unwrap() = None;
    stage.clock.advance(Duration::from_secs(301));
    assert!(verifier.verify(&token).await.is_ok(), "the keys are old, and better than none");
}

#[test]
fn a_key_set_is_read_back_and_foreign_keys_are_left_out() {
    let (first, second) = (new_signer(Algorithm::EdDsa), new_signer(Algorithm::Es256));
    let keys = PublicKeys::new(vec![first.public_key().clone(), second.public_key().clone()]);
    let mut set = serde_json::to_value(&keys).unwrap();
    assert_eq!(serde_json::from_value::<PublicKeys>(set.clone()).unwrap(), keys);
    assert!(!set.to_string().contains("\"d\""), "{set}");
    let all = set["keys"].as_array_mut().unwrap();
    let mut renamed = all[0].clone();
    renamed["kid"] = "mine".into();
    let mut off_the_curve = all[1].clone();
    off_the_curve["y"] = off_the_curve["x"].clone();
    all.extend([renamed, off_the_curve, json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }), json!(7)]);
    assert_eq!(serde_json::from_value::<PublicKeys>(set).unwrap(), keys);
}

#[test]
fn a_key_is_named_by_its_thumbprint() {
    // The key and the thumbprint of RFC 8037 appendix A.3.
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let set = json!({ "keys": [{
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "alg": "EdDSA", "use": "sig", "kid": kid,
    }]});
    let keys: PublicKeys = serde_json::from_value(set).unwrap();
    assert!(keys.find(kid).is_some());
}

#[test]
fn what_is_no_key_does_not_sign() {
    let ed = generate_key(Algorithm::EdDsa).unwrap();
    assert!(Signer::from_pkcs8(Algorithm::Es256, &ed).is_err());
    for bytes in [&[][..], b"-----BEGIN PRIVATE KEY-----", &ed[..20]] {
        assert!(Signer::from_pkcs8(Algorithm::EdDsa, bytes).is_err());
    }
    let shown = format!("{:?}", Signer::from_pkcs8(Algorithm::EdDsa, &ed).unwrap());
    assert!(shown.starts_with("Signer { kid: ") && shown.len() < 80, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_is_a_token_by_chance(text in "\\PC{0,300}", parts in proptest::collection::vec("[A-Za-z0-9_=-]{0,60}", 0..6)) {
        let stage = stage();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert!(stage.refuses(&text).await);
            assert!(stage.refuses(&parts.join(".")).await);
            let header = encode(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": stage.signer.kid() }));
            assert!(stage.refuses(&format!("{header}.{}", parts.join("."))).await);
        });
    }
}
