//! What the handlers' own descriptions can't say about themselves: that bodies take no unknown fields, what the headers
//! look like that many operations share, what the groups are for. Checked by linters of OpenAPI documents.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The groups of operations, in the order in which they are shown.
const TAGS: [(&str, &str); 5] = [
    ("auth", "Registration, login, sessions, passwords, and the keys that verify tokens."),
    ("users", "Profiles, preferences, and the administration of people."),
    ("permissions", "Roles, groups, assignments, and decisions (AuthZEN)."),
    ("notifications", "Messages to people, their inbox, and what they want to get."),
    ("platform", "Health, the audit trail, and what belongs to no single module."),
];

/// What parameters look like wherever they appear.
const PARAMETERS: [(&str, &str); 3] = [
    ("If-Match", r#"^(\*|"[0-9]{1,19}"(, ?"[0-9]{1,19}")*)$"#),
    ("Idempotency-Key", "^[!-~]{1,255}$"),
    ("cursor", "^[A-Za-z0-9_-]{16,2000}$"),
];

/// Completes a document.
pub(super) fn tidy(document: &mut Value) {
    document["servers"] = json!([{ "url": "/", "description": "Where this document was found." }]);
    document["tags"] = TAGS.iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    let mut bodies = BTreeSet::new();
    for operation in operations(document) {
        describe(operation);
        narrow(operation);
        if let Some(body) = operation.get_mut("requestBody") {
            close(body);
            refer(body, &mut bodies);
        }
    }
    close_all(document, bodies);
    forget_unused(document);
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(Value::as_object_mut);
    items.flat_map(|item| item.values_mut()).filter_map(Value::as_object_mut)
}

/// An operation whose summary says everything has it as description too.
fn describe(operation: &mut Map<String, Value>) {
    if !operation.contains_key("description") {
        let summary = operation.get("summary").cloned().unwrap_or_default();
        operation.insert("description".to_owned(), summary);
    }
}

/// A parameter is a text or it is absent, never null; and those that many operations share look the same everywhere.
fn narrow(operation: &mut Map<String, Value>) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let schema = &mut parameter["schema"];
        if let Some([one, Value::String(null)]) = schema["type"].as_array().map(Vec::as_slice)
            && null == "null"
        {
            schema["type"] = one.clone();
        }
        if let Some([Value::Object(null), one]) = schema["oneOf"].as_array().map(Vec::as_slice)
            && null.get("type").is_some_and(|it| it == "null")
        {
            *schema = one.clone();
        }
        if let Some((_, pattern)) = PARAMETERS.iter().find(|(known, _)| *known == name) {
            schema["pattern"] = json!(pattern);
        }
    }
}

/// Every component that bodies are made of is closed.
fn close_all(document: &mut Value, mut todo: BTreeSet<String>) {
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop_first() {
        if !done.insert(name.clone()) {
            continue;
        }
        if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            close(schema);
            refer(schema, &mut todo);
        }
    }
}

/// An object with named fields takes no others, unless it says that it does.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) && !fields.contains_key("allOf") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Notes the components that a part of the document refers to.
fn refer(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str);
            names.extend(target.and_then(|it| it.strip_prefix("#/components/schemas/")).map(str::to_owned));
            fields.values().for_each(|it| refer(it, names));
        }
        Value::Array(items) => items.iter().for_each(|it| refer(it, names)),
        _ => {}
    }
}

/// Components that nothing refers to are not shown.
fn forget_unused(document: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        refer(document, &mut used);
        let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
        let Some(schemas) = schemas else { return };
        let before = schemas.len();
        schemas.retain(|name, _| used.contains(name));
        if schemas.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_closed_and_answers_stay_open() {
        let mut document = json!({
            "paths": { "/a": { "post": {
                "summary": "A.",
                "parameters": [{ "name": "If-Match", "in": "header", "schema": { "type": ["string", "null"] } }],
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Ask" } } } },
                "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Answer" } } } } },
            } } },
            "components": { "schemas": {
                "Ask": { "type": "object", "properties": { "one": { "$ref": "#/components/schemas/One" } } },
                "One": { "type": "object", "properties": { "free": { "type": "object" } } },
                "Answer": { "type": "object", "properties": {} },
                "Unused": { "$ref": "#/components/schemas/Forgotten" },
                "Forgotten": {},
            } },
        });
        tidy(&mut document);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Ask"]["additionalProperties"], false);
        assert_eq!(schemas["One"]["additionalProperties"], false);
        assert!(schemas["One"]["properties"]["free"].get("additionalProperties").is_none());
        assert!(schemas["Answer"].get("additionalProperties").is_none());
        assert_eq!(schemas.as_object().unwrap().len(), 3, "{schemas}");
        let operation = &document["paths"]["/a"]["post"];
        assert_eq!(operation["description"], "A.");
        let parameter = &operation["parameters"][0]["schema"];
        assert_eq!((&parameter["type"], parameter["pattern"].is_string()), (&json!("string"), true));
    }
}
