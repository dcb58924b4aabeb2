//! The AsyncAPI document: which events there are, what they look like on the broker, and who in Doorward hears them. It is
//! made of the facts themselves and of what modules subscribe to, so none can be missing.

use contracts::auth::AccountState;
use contracts::{FactShape, FieldShape};
use platform::bus::Subscription;
use serde_json::{Map, Value, json};

use crate::compose;

/// The whole document, as text. Names are those of the default `rabbitmq.prefix`.
pub(crate) fn text() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&document(&facts(), &compose::subscriptions()))
}

/// The facts of all modules.
fn facts() -> Vec<FactShape> {
    use contracts::{auth, notifications, permissions, users};
    [auth::FACT_SHAPES, users::FACT_SHAPES, permissions::FACT_SHAPES, notifications::FACT_SHAPES].concat()
}

fn document(facts: &[FactShape], subscriptions: &[Subscription]) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    for fact in facts {
        channels.insert(fact.event_type.to_owned(), channel(fact));
        messages.insert(fact.name.to_owned(), message(fact));
        schemas.insert(fact.name.to_owned(), schema(fact));
        let channel = json!({ "$ref": format!("#/channels/{}", fact.event_type) });
        let told = json!({ "action": "send", "channel": channel, "summary": fact.description.trim() });
        operations.insert(format!("tell_{}", key(fact.event_type)), told);
        for one in subscriptions.iter().filter(|one| one.hears.contains(&fact.event_type)) {
            let heard = json!({
                "action": "receive",
                "channel": channel,
                "summary": format!("{} hears it.", one.name),
                "bindings": { "amqp": { "ack": true, "bindingVersion": "0.3.0" } },
                "x-queue": format!("doorward.{}", one.name),
            });
            operations.insert(format!("{}_hears_{}", key(one.name), key(fact.event_type)), heard);
        }
    }
    schemas.insert("Envelope".to_owned(), envelope());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Doorward events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What Doorward tells the world: facts, as CloudEvents 1.0 in structured content mode. Where \
                            `rabbitmq.url` is set they go to a durable topic exchange, with their type as the routing \
                            key; bind a queue of your own to it. An event may come more than once and in any order: \
                            remember the ids you have handled. Facts only ever gain fields.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn key(name: &str) -> String {
    name.replace('.', "_")
}

fn channel(fact: &FactShape) -> Value {
    json!({
        "address": fact.event_type,
        "description": fact.description.trim(),
        "messages": { fact.name: { "$ref": format!("#/components/messages/{}", fact.name) } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": "doorward.events", "type": "topic", "durable": true, "autoDelete": false, "vhost": "/" },
            "bindingVersion": "0.3.0",
        } },
    })
}

fn message(fact: &FactShape) -> Value {
    json!({
        "name": fact.event_type,
        "title": fact.name,
        "summary": fact.description.trim(),
        "contentType": "application/cloudevents+json",
        "headers": { "type": "object", "properties": {
            "traceparent": traceparent(),
            "doorward-seal": seal("HMAC-SHA-256 over the body, with a key that is derived from the master key."),
            "doorward-key": seal("The id of the service's own key (RFC 7638), where it has one."),
            "doorward-signature": seal("What that key signed: Ed25519 over the body."),
        } },
        "payload": { "allOf": [
            { "$ref": "#/components/schemas/Envelope" },
            { "type": "object", "properties": {
                "type": { "const": fact.event_type },
                "data": { "$ref": format!("#/components/schemas/{}", fact.name) },
            } },
        ] },
        "bindings": { "amqp": { "messageType": fact.event_type, "bindingVersion": "0.3.0" } },
    })
}

fn traceparent() -> Value {
    json!({ "type": "string", "description": "The trace it belongs to (W3C Trace Context)." })
}

fn seal(description: &str) -> Value {
    json!({ "type": "string", "description": format!("{description} Base64url; for Doorward itself.") })
}

fn envelope() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let id = json!({ "type": "string", "format": "uuid", "description": "Unique over all events." });
    let time = json!({ "type": "string", "format": "date-time", "description": "When." });
    let version = json!({
        "type": "integer", "minimum": 1, "description": "Rises when a field changes its meaning, which should never happen."
    });
    json!({
        "type": "object",
        "description": "CloudEvents 1.0, with the extension attributes dataversion, actor, requestid and traceparent.",
        "required": [
            "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataversion", "actor", "requestid",
            "data"
        ],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": id,
            "source": text("The module that tells it, such as `/auth`."),
            "type": text("The fact's type, which is the routing key as well."),
            "subject": text("The id of what it happened to."),
            "time": time,
            "datacontenttype": { "const": "application/json" },
            "dataversion": version,
            "actor": text("Who made it happen: `anonymous`, `user:<id>` or `module:<name>`."),
            "requestid": text("The request that made it happen."),
            "traceparent": traceparent(),
            "data": { "type": "object" },
        },
    })
}

fn schema(fact: &FactShape) -> Value {
    let properties: Map<String, Value> =
        fact.fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<_> = fact
        .fields
        .iter()
        .filter(|field| !field.kind.starts_with("Option<"))
        .map(|field| field.name)
        .collect();
    json!({
        "type": "object",
        "description": fact.description.trim(),
        "required": required,
        "properties": properties,
    })
}

fn property(field: &FieldShape) -> Value {
    let mut property = kind(field.kind).unwrap_or_else(|| json!({}));
    if let Some(property) = property.as_object_mut() {
        property.insert("description".to_owned(), field.description.trim().into());
    }
    property
}

/// The schema of a type that facts are made of; none for one that this does not know.
fn kind(kind: &str) -> Option<Value> {
    Some(match kind {
        "String" => json!({ "type": "string" }),
        "Option<String>" => json!({ "type": ["string", "null"] }),
        "Vec<String>" => json!({ "type": "array", "items": { "type": "string" } }),
        "bool" => json!({ "type": "boolean" }),
        "Time" => json!({ "type": "string", "format": "date-time" }),
        "EmailAddress" => json!({ "type": "string", "format": "email" }),
        "AccountState" => json!({ "enum": AccountState::ALL }),
        "Subject" => json!({
            "type": "object",
            "required": ["type", "id"],
            "properties": { "type": { "enum": ["user", "group"] }, "id": { "type": "string" } },
        }),
        id if id.ends_with("Id") => json!({ "type": "string", "format": "uuid" }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn here(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    #[test]
    fn the_document_that_is_kept_is_the_one_that_is_served() {
        let kept = fs::read_to_string(here("docs/asyncapi.json")).unwrap();
        assert!(
            kept.trim_end() == text().unwrap(),
            "the events changed: look at the difference after `cargo run -- asyncapi > docs/asyncapi.json`"
        );
    }

    #[test]
    fn every_fact_is_described_with_the_fields_that_it_has() {
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let document = document(&facts(), &compose::subscriptions());
        for fact in facts() {
            let golden = here(&format!("contracts/tests/golden/{}.snap", fact.event_type));
            let golden = fs::read_to_string(golden).unwrap();
            let event: Value = serde_json::from_str(golden.splitn(3, "---").last().unwrap()).unwrap();
            let schemas = &document["components"]["schemas"];
            let (envelope, fact_schema) =
                (&schemas["Envelope"]["properties"], &schemas[fact.name]["properties"]);
            assert_eq!(names(&event), names(envelope), "the envelope of {}", fact.event_type);
            assert_eq!(names(&event["data"]), names(fact_schema), "the fields of {}", fact.event_type);
            for field in fact.fields {
                assert!(kind(field.kind).is_some(), "{}: nothing is known of {}", fact.name, field.kind);
            }
        }
    }

    #[test]
    fn every_subscription_is_to_a_fact_that_somebody_tells() {
        let told: BTreeSet<_> = facts().iter().map(|fact| fact.event_type).collect();
        let mut names = BTreeSet::new();
        for one in compose::subscriptions() {
            assert!(names.insert(one.name), "two subscribers are called {}", one.name);
            for event_type in one.hears {
                assert!(told.contains(event_type), "{} hears {event_type}, which nobody tells", one.name);
            }
        }
    }

    /// What is handed to the desks and what is declared at the broker must be the same.
    #[test]
    fn every_subscriber_of_a_module_is_among_its_subscriptions() {
        let source =
            |module: &str| fs::read_to_string(here(&format!("modules/{module}/src/events.rs"))).unwrap();
        for (module, subscriptions) in [
            ("auth", auth::SUBSCRIPTIONS),
            ("users", users::SUBSCRIPTIONS),
            ("permissions", permissions::SUBSCRIPTIONS),
            ("notifications", notifications::SUBSCRIPTIONS),
        ] {
            let subscribers = source(module).matches("impl Subscriber for ").count();
            assert_eq!(subscribers, subscriptions.len(), "{module}");
        }
    }
}
