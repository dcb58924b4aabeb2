//! The ids by which a request is found again: `x-request-id`, and `traceparent` (W3C Trace Context, level 1).
//!
//! Left out: `tracestate`, and exporting spans; the ids travel so that whoever calls and is called can correlate.

use actix_web::http::header::HeaderMap;
use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// What the client calls its request, when that is 8 to 64 of `A-Za-z0-9._-`; else a new UUIDv7.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    only(headers, "x-request-id")
        .filter(|id| (8..=64).contains(&id.len()))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)))
        .map_or_else(new_id, str::to_owned)
}

/// A UUIDv7 from the generator of this thread: asking the operating system for randomness costs more than all the rest.
/// A request's id is no secret.
fn new_id() -> String {
    let milliseconds = u64::try_from(Clock::system().now().micros() / 1000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(milliseconds, &rand::random()).into_uuid().to_string()
}

/// Our own place in the trace: a new span, in the client's trace when it named one.
pub(super) fn traceparent(headers: &HeaderMap) -> String {
    let (trace, flags) = only(headers, "traceparent").and_then(parse).unwrap_or_else(|| {
        (Uuid::from_u128(rand::random::<u128>().max(1)).simple().to_string(), "00".to_owned())
    });
    format!("00-{trace}-{:016x}-{flags}", rand::random::<u64>().max(1))
}

/// The trace id and the flags (section 3.2.2): lower-case hexadecimal, and not zero.
fn parse(value: &str) -> Option<(String, String)> {
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let more_is_fine = version != "00" || parts.next().is_none();
    let good = more_is_fine
        && version != "ff"
        && [(version, 2), (trace, 32), (parent, 16), (flags, 2)]
            .iter()
            .all(|(part, length)| hex(part, *length))
        && trace.bytes().any(|byte| byte != b'0')
        && parent.bytes().any(|byte| byte != b'0');
    good.then(|| (trace.to_owned(), flags.to_owned()))
}

fn hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The header's value when it was sent exactly once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use proptest::prelude::*;

    fn with(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_plain_request_id_is_kept_and_any_other_is_replaced() {
        assert_eq!(request_id(&with("x-request-id", &["abc-123.X_"])), "abc-123.X_");
        for bad in ["short", "with space", "semi;colon", "quote\"quote"] {
            assert!(Uuid::parse_str(&request_id(&with("x-request-id", &[bad]))).is_ok(), "{bad}");
        }
        let two = with("x-request-id", &["first-one", "second-one"]);
        assert!(Uuid::parse_str(&request_id(&two)).is_ok());
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_ours() {
        let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let ours = traceparent(&with("traceparent", &[theirs]));
        assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-01"), "{ours}");
        assert!(!ours.contains("00f067aa0ba902b7"), "{ours}");
    }

    #[test]
    fn a_broken_trace_starts_anew() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let ours = traceparent(&with("traceparent", &[bad]));
            assert!(parse(&ours).is_some(), "{ours}");
            assert!(!ours.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{bad} → {ours}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_there_is_a_good_trace_and_a_plain_id(
            trace in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]{0,3})?",
            text in "[ -~]{0,80}",
            other in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut values = vec![HeaderValue::from_str(&trace).unwrap(), HeaderValue::from_str(&text).unwrap()];
            values.extend(HeaderValue::from_bytes(&other));
            for value in values {
                let mut headers = HeaderMap::new();
                headers.append(HeaderName::from_static("traceparent"), value.clone());
                headers.append(HeaderName::from_static("x-request-id"), value.clone());
                let ours = traceparent(&headers);
                prop_assert!(parse(&ours).is_some() && ours.starts_with("00-") && ours.len() == 55, "{}", ours);
                if let Some((theirs, flags)) = value.to_str().ok().and_then(parse) {
                    let flags = format!("-{flags}");
                    prop_assert!(ours.get(3..35) == Some(theirs.as_str()) && ours.ends_with(&flags), "{}", ours);
                }
                let id = request_id(&headers);
                prop_assert!((8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{}", id);
            }
        }
    }
}
