//! A provider of short messages for tests: takes them over HTTP and keeps them, or misbehaves as a test tells it to.
//!
//! It speaks just enough HTTP/1.1 for one request a connection, and reads forms and JSON. It delivers nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What the gateway does with the next message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Takes it.
    Take,
    /// Answers with this status and body.
    Say(u16, String),
    /// Takes it and breaks the connection instead of answering.
    TakeAndDrop,
    /// Breaks the connection without reading on.
    Drop,
    /// Says nothing any more.
    Hang,
    /// Sends the client elsewhere.
    Redirect(String),
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Texted {
    /// The path it was posted to, with its query.
    pub path: String,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The fields of the form or of the JSON object.
    pub fields: BTreeMap<String, String>,
    /// What the gateway called it.
    pub id: String,
}

#[derive(Default)]
struct State {
    next: VecDeque<Answer>,
    taken: Vec<Texted>,
    asked: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running gateway; it ends when it is dropped.
pub struct SmsGateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl SmsGateway {
    /// On a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, server }
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says what to do with the next messages, one each; after them it takes again.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.held().next.extend(answers);
    }

    /// Every message that was taken so far.
    #[must_use]
    pub fn taken(&self) -> Vec<Texted> {
        self.shared.held().taken.clone()
    }

    /// How many requests came, whatever became of them.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.held().asked
    }

    /// Waits until so many messages were taken.
    pub async fn wait_for(&self, count: usize) -> Vec<Texted> {
        let waiting = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.shared.held().taken.len() >= count {
                    return self.taken();
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the message never came")
    }
}

impl Drop for SmsGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away ends only its own connection.
            let _ = serve(socket, &shared).await;
        });
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Some((path, headers, body)) = read(&mut socket).await? else { return Ok(()) };
    let (answer, id) = {
        let mut state = shared.held();
        state.asked += 1;
        (state.next.pop_front().unwrap_or(Answer::Take), format!("SM{}", state.asked))
    };
    let fields = fields(&headers, &body);
    if matches!(answer, Answer::Take | Answer::TakeAndDrop) {
        shared.held().taken.push(Texted { path, headers, fields, id: id.clone() });
        shared.changed.notify_waiters();
    }
    let (status, more, text) = match answer {
        Answer::Take => (201, String::new(), format!("{{\"sid\":\"{id}\",\"id\":\"{id}\"}}")),
        Answer::Say(status, text) => (status, String::new(), text),
        Answer::Redirect(to) => (307, format!("location: {to}\r\n"), String::new()),
        Answer::TakeAndDrop | Answer::Drop => return Ok(()),
        Answer::Hang => std::future::pending().await,
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await
}

type Request = (String, BTreeMap<String, String>, Vec<u8>);

async fn read(socket: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = socket.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let begins = head.len() + 4;
        if bytes.len() >= begins + length {
            return Ok(Some((path, headers, bytes[begins..begins + length].to_vec())));
        }
    }
}

fn fields(headers: &BTreeMap<String, String>, body: &[u8]) -> BTreeMap<String, String> {
    if headers.get("content-type").is_some_and(|kind| kind.contains("json")) {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        return object.into_iter().map(|(name, value)| (name, text(value))).collect();
    }
    let text = String::from_utf8_lossy(body).into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap()
}
