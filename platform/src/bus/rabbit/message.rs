//! An event as a message: CloudEvents 1.0 in structured content mode (section 3.3 of the AMQP binding, carried over to
//! AMQP 0-9-1). The body is the whole envelope, so that it survives dead letters, shovels and archives in one piece;
//! properties and headers repeat what tools look at, and headers carry the seal.

use contracts::Event;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};
use serde::Deserialize;
use serde_json::Value;

use super::seal::{Seal, Seals};
use super::wire::short;

/// The media type of an event in JSON (CloudEvents JSON format, section 3).
const CONTENT_TYPE: &str = "application/cloudevents+json";

/// Survives a restart of the broker (AMQP 0-9-1, `delivery-mode`).
const PERSISTENT: u8 = 2;

/// The headers with the seals over the body: of all who share the master key; and of a service, with the id of its key.
const SEAL: &str = "doorward-seal";
const KEY: &str = "doorward-key";
const SIGNATURE: &str = "doorward-signature";

/// The body and the properties of the message.
pub(super) fn write(event: &Event, seals: &Seals) -> lapin::Result<(Vec<u8>, BasicProperties)> {
    let body = serde_json::to_vec(event).map_err(std::io::Error::other)?;
    let seal = seals.seal(&body).map_err(std::io::Error::other)?;
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    };
    header(SEAL, &seal.shared);
    if let Some((key, signature)) = &seal.own {
        header(KEY, key);
        header(SIGNATURE, signature);
    }
    if let Some(traceparent) = &event.traceparent {
        header("traceparent", traceparent);
    }
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(event.id.to_string())?)
        .with_type(short(event.event_type.clone())?)
        .with_app_id("doorward".into())
        .with_headers(headers);
    Ok((body, properties))
}

/// The event of a message that was sealed by whoever may tell it; or in what way it is none.
pub(super) fn read(body: &[u8], properties: &BasicProperties, seals: &Seals) -> Result<Event, &'static str> {
    let event = event_in(body)?;
    let headers = properties.headers().as_ref().ok_or("not sealed")?.inner();
    let header = |name: &str| Some(headers.get(name)?.as_long_string()?.to_string());
    let (shared, own) = (header(SEAL).ok_or("not sealed")?, header(KEY).zip(header(SIGNATURE)));
    seals.check(&event, body, &Seal { shared, own })?;
    Ok(event)
}

fn event_in(body: &[u8]) -> Result<Event, &'static str> {
    let envelope: Value = serde_json::from_slice(body).map_err(|_| "no JSON")?;
    if holds_nul(&envelope) {
        return Err("a text with a NUL character, which no PostgreSQL stores");
    }
    let event = Event::deserialize(envelope).map_err(|_| "no event")?;
    if event.specversion == "1.0" { Ok(event) } else { Err("an event of another version of CloudEvents") }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use contracts::auth::AccountVerified;
    use contracts::{Caller, Fact, Module, Time, UserId};
    use serde_json::json;

    use super::*;
    use crate::settings::MasterKey;

    #[test]
    fn an_event_comes_back_as_it_was_written_and_anything_else_is_refused_with_a_reason() {
        let seals = Seals::new(&MasterKey::generate().unwrap(), None, &Module::ALL, Vec::new());
        let caller = Caller { traceparent: Some("00-1-2-01".to_owned()), ..Caller::module("test") };
        let fact = AccountVerified { user: UserId::new() };
        let event = Event::of(&fact, &caller, Time::from_seconds(1_800_000_000)).unwrap();
        let (body, properties) = write(&event, &seals).unwrap();
        assert_eq!(read(&body, &properties, &seals), Ok(event.clone()));
        assert_eq!(read(&body, &BasicProperties::default(), &seals), Err("not sealed"));
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), AccountVerified::TYPE);
        assert!(properties.headers().as_ref().unwrap().contains_key("traceparent"));

        let envelope = serde_json::to_value(&event).unwrap();
        let with = |name: &str, value: Value| {
            let mut other = envelope.clone();
            other[name] = value;
            event_in(&serde_json::to_vec(&other).unwrap())
        };
        assert!(with("specversion", json!("2.0")).unwrap_err().contains("version"));
        assert!(with("data", json!({ "names": ["a\0"] })).unwrap_err().contains("NUL"));
        assert!(with("data", json!({ "a\0": 1 })).unwrap_err().contains("NUL"));
        assert!(with("id", json!("none")).is_err() && event_in(b"{").is_err() && event_in(b"[]").is_err());
        assert_eq!(with("colour", json!("blue")), Ok(event), "what is new in a later version does no harm");
    }
}
