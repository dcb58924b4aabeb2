//! A line to a peer: HTTP to its management listener, with proof of who asks, on whose behalf, and for how long.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use contracts::wire::{CALLER_HEADER, DEADLINE_HEADER, Line, Manner, Method, gone};
use contracts::{Caller, Error, Kind, Module, Result};
use metrics::{counter, histogram};

use super::circuit::Circuit;
use super::settings::{Settings, Tls};
use crate::tokens::{Identity, SERVICE_TOKEN_SECONDS};

/// A token is shown again for this long: half of its life, so that it never ends on the way.
const SHOWN_FOR: Duration = Duration::from_secs(SERVICE_TOKEN_SECONDS.unsigned_abs() / 2);

/// Idle connections are closed here before the other side closes them, which keeps them for longer.
const IDLE: Duration = Duration::from_secs(30);

/// The lines to all peers.
#[derive(Clone, Debug, Default)]
pub struct Lines(BTreeMap<Module, Arc<HttpLine>>);

impl Lines {
    /// A line for each module that has an address; those with the same address share connections.
    ///
    /// # Errors
    /// When a file with certificates can't be used: a sentence that names the setting.
    pub fn new(settings: &Settings, identity: &Arc<Identity>) -> Result<Self> {
        let client = client(settings)?;
        let there = Module::ALL.into_iter().filter(|module| !settings.address(*module).is_empty());
        let line = |module| {
            (module, Arc::new(HttpLine::new(module, client.clone(), Arc::clone(identity), settings)))
        };
        Ok(Self(there.map(line).collect()))
    }

    /// The line to a module.
    ///
    /// # Errors
    /// When there is none, which the settings should have told.
    pub fn to(&self, module: Module) -> Result<Arc<dyn Line>> {
        let line = self.0.get(&module).cloned();
        Ok(line.ok_or_else(|| Error::internal(format!("there is no line to {module}")))?)
    }

    /// One line to each address, whatever modules are behind it.
    pub fn places(&self) -> impl Iterator<Item = Arc<dyn Line>> {
        let by_place: BTreeMap<&str, &Arc<HttpLine>> =
            self.0.values().map(|line| (line.base.as_str(), line)).collect();
        by_place.into_values().cloned().map(|line| line as Arc<dyn Line>).collect::<Vec<_>>().into_iter()
    }
}

/// The line to one module.
pub struct HttpLine {
    peer: Module,
    base: String,
    client: reqwest::Client,
    identity: Arc<Identity>,
    deadline: Duration,
    long_deadline: Duration,
    circuit: Circuit,
    token: Mutex<Option<(Instant, Arc<str>)>>,
}

impl std::fmt::Debug for HttpLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpLine").field("peer", &self.peer).field("base", &self.base).finish_non_exhaustive()
    }
}

/// Why there is no answer.
struct Lost {
    cause: Box<dyn std::error::Error + Send + Sync>,
    /// The peer answered, and not with what was asked for.
    heard: bool,
}

impl Lost {
    fn on_the_way(error: reqwest::Error) -> Self {
        Self { cause: Box::new(error.without_url()), heard: false }
    }
}

impl HttpLine {
    fn new(peer: Module, client: reqwest::Client, identity: Arc<Identity>, settings: &Settings) -> Self {
        Self {
            peer,
            base: settings.address(peer).to_owned(),
            client,
            identity,
            deadline: Duration::from_millis(settings.deadline_ms),
            long_deadline: Duration::from_millis(settings.long_deadline_ms),
            circuit: Circuit::new(peer, &settings.circuit),
            token: Mutex::default(),
        }
    }

    /// Once, or twice when that is the same and time is left.
    async fn ask(&self, method: &Method, caller: &Caller, ask: &[u8]) -> Result<Result<Vec<u8>>, Lost> {
        let began = Instant::now();
        let patience = if method.manner == Manner::Long { self.long_deadline } else { self.deadline };
        let first = self.send(method, caller, ask, patience).await;
        let left = patience.saturating_sub(began.elapsed());
        match first {
            Err(lost)
                if method.manner == Manner::Repeatable && !lost.heard && left > Duration::from_millis(10) =>
            {
                counter!("doorward_peer_retries_total", "peer" => self.peer.as_str()).increment(1);
                self.send(method, caller, ask, left).await
            }
            other => other,
        }
    }

    async fn send(
        &self,
        method: &Method,
        caller: &Caller,
        ask: &[u8],
        left: Duration,
    ) -> Result<Result<Vec<u8>>, Lost> {
        let ours = |error: Error| Lost { cause: Box::new(error), heard: true };
        let caller_json = serde_json::to_string(caller).map_err(|error| ours(Error::internal(error)))?;
        let mut request = self
            .client
            .post(format!("{}/internal/{}", self.base, method.path))
            .timeout(left)
            .bearer_auth(self.token().map_err(ours)?)
            .header(CALLER_HEADER, ascii(&caller_json))
            .header(DEADLINE_HEADER, left.as_millis().to_string())
            .header("x-request-id", ascii(&caller.request_id))
            .header("content-type", "application/json")
            .body(ask.to_vec());
        if let Some(trace) = &caller.traceparent {
            request = request.header("traceparent", trace);
        }
        let answer = request.send().await.map_err(Lost::on_the_way)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(Lost::on_the_way)?;
        if status.is_success() {
            return Ok(Ok(body.to_vec()));
        }
        let unread = |cause| Lost { cause: Box::new(cause), heard: status.as_u16() < 500 };
        let told: Error = serde_json::from_slice(&body).map_err(unread)?;
        if matches!(told.kind, Kind::Unauthenticated | Kind::Denied)
            && told.code.starts_with("platform.peer_")
        {
            tracing::error!(peer = %self.peer, code = %told.code, "A peer refuses this service; its log says why.");
            return Err(ours(told));
        }
        Ok(Err(told))
    }

    /// The token that is shown at the moment.
    fn token(&self) -> Result<Arc<str>> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = held.as_ref().filter(|(made, _)| made.elapsed() < SHOWN_FOR) {
            return Ok(Arc::clone(token));
        }
        let token: Arc<str> = self.identity.token_for(self.peer)?.into();
        *held = Some((Instant::now(), Arc::clone(&token)));
        Ok(token)
    }

    fn count(&self, method: &Method, outcome: &'static str, began: Instant) {
        let (peer, path) = (self.peer.as_str(), method.path);
        counter!("doorward_peer_asks_total", "peer" => peer, "method" => path, "outcome" => outcome)
            .increment(1);
        histogram!("doorward_peer_ask_seconds", "peer" => peer, "method" => path).record(began.elapsed());
    }
}

#[async_trait]
impl Line for HttpLine {
    async fn carry(&self, method: &'static Method, caller: &Caller, ask: Vec<u8>) -> Result<Vec<u8>> {
        let began = Instant::now();
        let Some(passage) = self.circuit.pass() else {
            self.count(method, "left_alone", began);
            return Err(gone());
        };
        match self.ask(method, caller, &ask).await {
            Ok(answer) => {
                passage.answered();
                self.count(method, if answer.is_ok() { "answered" } else { "refused" }, began);
                answer
            }
            Err(Lost { cause, heard }) => {
                let opened = if heard {
                    passage.answered();
                    false
                } else {
                    passage.lost()
                };
                if opened {
                    tracing::warn!(peer = %self.peer, %cause, "A peer does not answer and is left alone for a moment.");
                }
                self.count(method, "lost", began);
                Err(gone().caused_by(cause))
            }
        }
    }
}

/// The HTTP client: no proxy, no redirect, and the certificates that are set.
fn client(settings: &Settings) -> Result<reqwest::Client> {
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .pool_idle_timeout(IDLE)
        .connect_timeout(Duration::from_millis(settings.deadline_ms));
    let Tls { ca_file, certificate_file, key_file } = &settings.tls;
    if !ca_file.is_empty() {
        let pem = read("ca_file", ca_file)?;
        let bundle = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unfit("ca_file", &error))?;
        client = client.tls_certs_only(bundle);
    }
    if !certificate_file.is_empty() {
        let pem = [read("key_file", key_file)?, read("certificate_file", certificate_file)?].concat();
        let identity = reqwest::Identity::from_pem(&pem);
        client = client.identity(identity.map_err(|error| unfit("certificate_file", &error))?);
    }
    client.build().map_err(|error| unfit("certificate_file", &error))
}

fn read(setting: &str, path: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unfit(setting, &error))
}

fn unfit(setting: &str, error: &dyn std::fmt::Display) -> Error {
    Error::invalid("platform.unfit_settings", format!("peers.tls.{setting} can't be used: {error}."))
}

/// JSON in a header must be ASCII: everything beyond is written as `\u` escapes, which JSON reads back.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}
