//! The headers every answer carries unless its handler said otherwise: refuse everything a browser might guess.
//!
//! Left out: Strict-Transport-Security. Whether TLS ends here is known to the listener, not to a request.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// A page that wants more than this says so itself.
const DEFAULTS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

/// Adds each header that is not there yet.
pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in DEFAULTS {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
