//! Handing short messages to a provider over HTTP: one POST each.
//!
//! Only the operator's address is asked, redirects are not followed, an answer is read up to 16 KiB and never shown.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::Channel;
use crate::error::StartError;
use crate::model::receipt::{is_reference, plain};
use crate::model::{Destination, Failure, Letter, Reason};
use crate::settings::{Format, Kind, Settings, Sms, SmsProvider};

/// How much of an answer is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024;

/// A provider, and what a part costs there.
type Priced = (Arc<dyn Channel>, u64);

/// The providers that the settings name, in order, with what a part costs there. `receipts` is where they report to.
pub(in crate::service) fn gateways(settings: &Settings, receipts: &str) -> Result<Vec<Priced>, StartError> {
    let Sms { primary, fallback, .. } = &settings.sms;
    let named = super::line::NAMES.into_iter().zip([primary, fallback]);
    let wanted = named.filter(|(_, provider)| provider.kind != Kind::None);
    let gateway = |(name, provider): (&str, &SmsProvider)| {
        let receipts = format!("{receipts}/{name}");
        let gateway: Arc<dyn Channel> = Arc::new(Gateway::new(provider, receipts, settings)?);
        Ok((gateway, provider.segment_cost_micros))
    };
    wanted.map(gateway).collect()
}

struct Gateway {
    client: Client,
    url: Url,
    header: HeaderName,
    secret: HeaderValue,
    provider: SmsProvider,
    receipts: String,
}

impl Gateway {
    fn new(provider: &SmsProvider, receipts: String, settings: &Settings) -> Result<Self, StartError> {
        let told = |what: &str| StartError(format!("A provider of short messages can't be used: {what}."));
        let url = provider.address().map_err(|what| told(what.trim_start_matches('.')))?;
        let (header, secret) = match provider.kind {
            Kind::Twilio => {
                let pair = format!("{}:{}", provider.account, provider.token.expose());
                (AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)))
            }
            _ => {
                let header = HeaderName::from_bytes(provider.header.as_bytes());
                (header.map_err(|_| told("its header has no name"))?, provider.token.expose().to_owned())
            }
        };
        let mut secret = HeaderValue::try_from(secret).map_err(|_| told("its token fits into no header"))?;
        secret.set_sensitive(true);
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(settings.provider_timeout_ms))
            .connect_timeout(Duration::from_millis(settings.provider_timeout_ms))
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| told("no client could be made"))?;
        Ok(Self { client, url, header, secret, provider: provider.clone(), receipts })
    }

    fn body(&self, number: &str, letter: &Letter) -> (&'static str, String) {
        let SmsProvider { from, to_field, from_field, text_field, reference_field, .. } = &self.provider;
        let callback = format!("{}?delivery={}", self.receipts, letter.delivery);
        let fields: [(&str, &str); 4] = match self.provider.kind {
            Kind::Twilio => {
                [("To", number), ("From", from), ("Body", &letter.text), ("StatusCallback", &callback)]
            }
            _ => [
                (to_field, number),
                (from_field, from),
                (text_field, &letter.text),
                (reference_field, &letter.delivery),
            ],
        };
        if self.provider.kind == Kind::Twilio || self.provider.format == Format::Form {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            return ("application/x-www-form-urlencoded", form);
        }
        let named = fields.map(|(name, value)| (name.to_owned(), Value::from(value)));
        ("application/json", Value::Object(Map::from_iter(named)).to_string())
    }

    /// What the provider calls the message.
    fn reference(&self, answer: &Value) -> Option<String> {
        let name = if self.provider.kind == Kind::Twilio { "sid" } else { self.provider.id_field.as_str() };
        let text = match answer.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        is_reference(&text).then_some(text)
    }
}

#[async_trait]
impl Channel for Gateway {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        let Destination::Phone(number) = &letter.to else {
            return Err(Failure::permanent(Reason::ChannelUnavailable, "Short messages go to phones only."));
        };
        let (kind, body) = self.body(number.as_str(), letter);
        let response = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, kind)
            .header(self.header.clone(), self.secret.clone())
            .header("idempotency-key", &letter.delivery)
            .body(body)
            .send()
            .await
            .map_err(|error| trouble(&error))?;
        let status = response.status();
        let answer = read(response).await;
        if status.is_success() {
            return Ok(self.reference(&answer));
        }
        Err(refused(status, code(&answer).as_deref(), self.provider.kind))
    }
}

/// The answer as far as it is JSON and small.
async fn read(mut response: Response) -> Value {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Value::Null;
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// The provider's error code, when it is a plain word.
fn code(answer: &Value) -> Option<String> {
    match answer.get("code")? {
        Value::String(text) => plain(text),
        Value::Number(number) => plain(&number.to_string()),
        _ => None,
    }
}

/// Why nothing came back. The error's own words may hold the address and what was sent.
fn trouble(error: &reqwest::Error) -> Failure {
    let what = if error.is_timeout() {
        "The provider did not answer in time."
    } else if error.is_connect() {
        "No connection to the provider."
    } else {
        "The connection to the provider broke."
    };
    Failure::unavailable(what)
}

/// Codes of Twilio that say that this number will never be reached.
const NO_SUCH_NUMBER: [&str; 4] = ["21211", "21217", "21610", "21614"];

fn refused(status: StatusCode, code: Option<&str>, kind: Kind) -> Failure {
    let code_said = code.map(|code| format!(", code {code}")).unwrap_or_default();
    let said = format!("{}{code_said}", status.as_u16());
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        return Failure::unavailable(format!("The provider refused our login: {said}."));
    }
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if !status.is_client_error() || busy.contains(&status) {
        return Failure::unavailable(format!("The provider is in trouble: {said}."));
    }
    let unknown = kind == Kind::Twilio && code.is_some_and(|code| NO_SUCH_NUMBER.contains(&code));
    let reason = if unknown { Reason::RecipientRefused } else { Reason::ProviderRefused };
    Failure::permanent(reason, format!("The provider refused it: {said}."))
}
