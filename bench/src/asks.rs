//! What several measurements ask for, as bytes that are made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::drive::Next;
use crate::http::{Seen, member, request};
use crate::people::Person;

/// One client stands for many, so what keeps one client from asking too much is off.
pub(crate) const UNLIMITED: [(&str, &str); 5] = [
    ("DOORWARD__LIMITS__LOGINS__PER_ADDRESS", "0"),
    ("DOORWARD__LIMITS__REGISTRATIONS__PER_ADDRESS", "0"),
    ("DOORWARD__LIMITS__REFRESHES__PER_ADDRESS", "0"),
    ("DOORWARD__AUTH__LIMITS__REGISTRATIONS_PER_NETWORK", "1000000"),
    ("DOORWARD__AUTH__TOKENS__ACCESS_SECONDS", "3600"),
];

/// Something that a person reads.
pub(crate) fn get(path: &str, person: &Person) -> Vec<u8> {
    request("GET", path, Some(&person.access_token), &[], None)
}

pub(crate) fn me(person: &Person) -> Vec<u8> {
    get("/api/v1/users/me", person)
}

/// A decision about the person who asks.
pub(crate) fn evaluation(person: &Person) -> Vec<u8> {
    let body = json!({
        "subject": { "type": "user", "id": person.id },
        "action": { "name": "read" },
        "resource": { "type": "document", "id": "42" },
    });
    request("POST", "/access/v1/evaluation", Some(&person.access_token), &[], Some(&body.to_string()))
}

pub(crate) fn login(person: &Person) -> Vec<u8> {
    let body = json!({ "email": person.email, "password": person.password });
    request("POST", "/api/v1/auth/logins", None, &[], Some(&body.to_string()))
}

/// Presents the last refresh token that came back, beginning with this one.
pub(crate) fn refreshes(token: &str) -> Next {
    let write = |token: &str| {
        let body = json!({ "refresh_token": token }).to_string();
        request("POST", "/api/v1/auth/tokens", None, &[], Some(&body))
    };
    let first = write(token);
    Box::new(move |seen: &Seen<'_>, out| {
        *out = member(seen.body, "refresh_token").map_or_else(|| first.clone(), write);
    })
}

/// Changes somebody's preferences, to something else each time: what stays as it is is not written.
pub(crate) fn preferences(person: &Person) -> Next {
    let (token, mut number) = (person.access_token.clone(), 0_u64);
    Box::new(move |_, out| {
        number += 1;
        let body = json!({ "theme": "dark", "number": number }).to_string();
        *out = request("PUT", "/api/v1/users/me/preferences/bench", Some(&token), &[], Some(&body));
    })
}

/// Registers somebody new each time; the counter is what is new.
pub(crate) fn registrations(counter: Arc<AtomicU64>) -> Next {
    Box::new(move |_, out| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let body =
            json!({ "email": format!("new{number}@example.org"), "password": "a long sentence, mostly" });
        *out = request("POST", "/api/v1/auth/registrations", None, &[], Some(&body.to_string()));
    })
}
