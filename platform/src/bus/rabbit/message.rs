//! An event as a message: CloudEvents 1.0 in structured content mode (section 3.3 of the AMQP binding, carried over to
//! AMQP 0-9-1). The body is the whole envelope, so that it survives dead letters, shovels and archives in one piece;
//! properties and headers repeat what tools look at.

use contracts::Event;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::wire::short;

/// The media type of an event in JSON (CloudEvents JSON format, section 3).
const CONTENT_TYPE: &str = "application/cloudevents+json";

/// Survives a restart of the broker (AMQP 0-9-1, `delivery-mode`).
const PERSISTENT: u8 = 2;

/// The body and the properties of the message.
pub(super) fn write(event: &Event) -> lapin::Result<(Vec<u8>, BasicProperties)> {
    let body = serde_json::to_vec(event).map_err(std::io::Error::other)?;
    let mut headers = FieldTable::default();
    if let Some(traceparent) = &event.traceparent {
        headers.insert("traceparent".into(), AMQPValue::LongString(LongString::from(traceparent.as_str())));
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

/// The event of a message; or in what way it is none.
pub(super) fn read(delivery: &Delivery) -> Result<Event, &'static str> {
    let event: Event = serde_json::from_slice(&delivery.data).map_err(|_| "no event in JSON")?;
    if event.specversion != "1.0" {
        return Err("an event of another version of CloudEvents");
    }
    Ok(event)
}
