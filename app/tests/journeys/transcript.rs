//! The notes of a journey: what was asked and answered, with everything masked that differs from run to run.

use std::collections::HashMap;
use std::fmt::Write;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::client::{Answer, Ask};

/// Headers that are part of what Doorward promises; others belong to the connection.
const NOTED: [&str; 8] = [
    "content-type",
    "location",
    "etag",
    "link",
    "retry-after",
    "www-authenticate",
    "cache-control",
    "idempotent-replayed",
];

/// What was said so far.
#[derive(Default)]
pub struct Transcript {
    text: String,
    ids: HashMap<String, usize>,
    secrets: Vec<String>,
}

impl Transcript {
    /// A line between requests, for the one who reads.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.text, "# {line}\n");
    }

    /// Masks a text from now on, and remembers that it must never be logged.
    pub fn hide(&mut self, secret: &str) {
        if !self.secrets.iter().any(|known| known == secret) {
            self.secrets.push(secret.to_owned());
        }
    }

    /// Everything that must never be logged.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    /// Notes a request and its answer.
    pub fn note(&mut self, ask: &Ask, logged_in: bool, answer: &Answer) {
        self.remember_secrets(ask.body.as_ref());
        self.remember_secrets(Some(&answer.body));
        let mut out = format!("{} {}\n", ask.method, ask.path);
        if logged_in {
            out.push_str("authorization: Bearer <token>\n");
        }
        for (name, value) in &ask.headers {
            let _ = writeln!(out, "{name}: {value}");
        }
        if let Some(body) = &ask.body {
            let _ = writeln!(out, "{}", serde_json::to_string_pretty(body).unwrap());
        }
        if let Some((kind, text)) = &ask.text {
            let _ = writeln!(out, "content-type: {kind}\n{}", text.trim_end());
        }
        let _ = writeln!(out, "=> {}", answer.status);
        for name in NOTED {
            if let Some(value) = answer.headers.get(name) {
                let _ = writeln!(out, "{name}: {}", value.to_str().unwrap());
            }
        }
        if answer.body != Value::Null {
            let _ = writeln!(out, "{}", serde_json::to_string_pretty(&answer.body).unwrap());
        }
        let masked = self.mask(&out);
        self.text.push_str(&masked);
        self.text.push('\n');
    }

    /// The whole transcript.
    pub fn text(&self) -> String {
        self.text.clone()
    }

    fn remember_secrets(&mut self, body: Option<&Value>) {
        let Some(Value::Object(fields)) = body else { return };
        for name in ["password", "access_token", "refresh_token", "token", "email"] {
            if let Some(Value::String(secret)) = fields.get(name)
                && secret.len() > 7
            {
                self.hide(secret);
            }
        }
    }

    fn mask(&mut self, text: &str) -> String {
        let rules = [
            (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "<access token>"),
            (r"(?i)dw[a-z]_[A-Za-z0-9_-]{20,}", "<secret>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            (r#""request_id": "[^"]+""#, r#""request_id": "<request>""#),
            (r#""(kid|x|y)": "[A-Za-z0-9_-]{20,}""#, r#""$1": "<key>""#),
            // The entity tag of something that is new in each run, such as keys: a digest, not a revision.
            (r#"etag: "[A-Za-z0-9_-]{20,}""#, r#"etag: "<digest>""#),
            (r"127\.0\.0\.1:\d+", "<address>"),
            (r"cursor=[A-Za-z0-9_.-]+", "cursor=<cursor>"),
            (r#""next_cursor": "[^"]+""#, r#""next_cursor": "<cursor>""#),
        ];
        let mut text = text.to_owned();
        for (pattern, mask) in rules {
            text = Regex::new(pattern).unwrap().replace_all(&text, mask).into_owned();
        }
        let uuid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
        let ids = &mut self.ids;
        uuid.replace_all(&text, |found: &Captures<'_>| {
            let next = ids.len() + 1;
            format!("<id {}>", ids.entry(found[0].to_owned()).or_insert(next))
        })
        .into_owned()
    }
}
