//! A mail server for tests: takes mail and keeps it, or misbehaves as a test tells it to.
//!
//! It speaks just enough SMTP (RFC 5321) for one client at a time on each connection, with or without TLS. It
//! delivers nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificates::acceptor;

/// What the trap does with the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Accept,
    /// Puts it off with 451.
    PutOff,
    /// Refuses it with 550, repeating the address as real servers do.
    Refuse,
    /// Takes it whole and breaks the connection instead of answering.
    TakeAndDrop,
    /// Says nothing any more once the message is named.
    Hang,
    /// Wants a login first, with 530.
    WantLogin,
}

/// How the trap protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Implicit,
    /// After STARTTLS.
    StartTls,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Trapped {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's receivers.
    pub to: Vec<String>,
    /// Headers and body as they came, dots undone.
    pub data: String,
}

impl Trapped {
    /// A header's value as it is written, of the first one with that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.data.split("\r\n\r\n").next()?;
        head.split("\r\n").find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Default)]
struct State {
    next: VecDeque<Manner>,
    taken: Vec<Trapped>,
    named: usize,
    connections: usize,
    logins: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    starttls: bool,
    acceptor: Option<TlsAcceptor>,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running mail server; it ends when it is dropped.
pub struct MailTrap {
    address: SocketAddr,
    shared: Arc<Shared>,
    ca: Option<tempfile::NamedTempFile>,
    server: JoinHandle<()>,
}

impl MailTrap {
    /// A trap without TLS, on a free port.
    pub async fn start() -> Self {
        Self::listen(Shared::default(), None, false).await
    }

    /// A trap with a certificate for `name`, signed by an authority of its own: see [`MailTrap::ca_file`].
    pub async fn start_tls(mode: Tls, name: &str) -> Self {
        let (acceptor, ca) = acceptor(name);
        let starttls = mode == Tls::StartTls;
        let shared = Shared { starttls, acceptor: Some(acceptor), ..Shared::default() };
        Self::listen(shared, Some(ca), mode == Tls::Implicit).await
    }

    async fn listen(shared: Shared, ca: Option<tempfile::NamedTempFile>, implicit: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(shared);
        let server = tokio::spawn(accept(listener, Arc::clone(&shared), implicit));
        Self { address, shared, ca, server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The setting `smtp.url` for a trap without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp+insecure://{}", self.address)
    }

    /// The certificate of the authority that signed the trap's, as a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.ca.as_ref().expect("the trap has no TLS").path().to_owned()
    }

    /// Says what to do with the next messages, one each; after them it accepts again.
    pub fn next(&self, manners: impl IntoIterator<Item = Manner>) {
        self.shared.held().next.extend(manners);
    }

    /// Every message that was taken so far.
    #[must_use]
    pub fn mails(&self) -> Vec<Trapped> {
        self.shared.held().taken.clone()
    }

    /// How many times a client named a message (MAIL FROM), whatever became of it.
    #[must_use]
    pub fn named(&self) -> usize {
        self.shared.held().named
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.held().connections
    }

    /// How many times a client logged in.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.shared.held().logins
    }

    /// Waits until so many messages were taken.
    pub async fn wait_for(&self, count: usize) -> Vec<Trapped> {
        self.wait_until(|state| state.taken.len() >= count).await;
        self.mails()
    }

    /// Waits until a client has named so many messages.
    pub async fn wait_named(&self, count: usize) {
        self.wait_until(|state| state.named >= count).await;
    }

    async fn wait_until(&self, there: impl Fn(&State) -> bool) {
        let waiting = async {
            loop {
                let changed = self.shared.changed.notified();
                if there(&self.shared.held()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the mail never came");
    }
}

impl Drop for MailTrap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, implicit: bool) {
    while let Ok((socket, _)) = listener.accept().await {
        shared.held().connections += 1;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away, or that does not trust the certificate, ends only its own connection.
            let _ = serve(socket, &shared, implicit).await;
        });
    }
}

async fn serve(socket: TcpStream, shared: &Shared, implicit: bool) -> std::io::Result<()> {
    let acceptor = shared.acceptor.as_ref();
    match acceptor.filter(|_| implicit) {
        Some(acceptor) => {
            let mut session = Session::new(acceptor.accept(socket).await?, shared);
            session.say("220 trap.example ESMTP").await?;
            session.talk(false).await.map(|_| ())
        }
        None => {
            let mut session = Session::new(socket, shared);
            session.say("220 trap.example ESMTP").await?;
            let upgrade = session.talk(shared.starttls).await?;
            let Some(acceptor) = acceptor.filter(|_| upgrade) else { return Ok(()) };
            let secured = acceptor.accept(session.stream.into_inner()).await?;
            Session::new(secured, shared).talk(false).await.map(|_| ())
        }
    }
}

struct Session<'a, S> {
    stream: BufReader<S>,
    shared: &'a Shared,
    manner: Manner,
    from: String,
    to: Vec<String>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(stream: S, shared: &'a Shared) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, shared, manner: Manner::Accept, from: String::new(), to: Vec::new() }
    }

    /// Talks until the client leaves; true when it asked for STARTTLS.
    async fn talk(&mut self, starttls: bool) -> std::io::Result<bool> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let line = line.trim_end();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" if starttls => self.say("250-trap.example\r\n250-8BITMIME\r\n250 STARTTLS").await?,
                "EHLO" => self.say("250-trap.example\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN").await?,
                "STARTTLS" if starttls => {
                    self.say("220 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" => {
                    self.shared.held().logins += 1;
                    self.say("235 2.7.0 welcome").await?;
                }
                "MAIL" => self.mail(line).await?,
                "RCPT" => self.rcpt(line).await?,
                "DATA" if self.data().await? => {}
                "DATA" | "QUIT" => return Ok(false),
                "NOOP" | "RSET" => self.say("250 2.0.0 ok").await?,
                _ => self.say("502 5.5.2 unknown").await?,
            }
        }
    }

    async fn mail(&mut self, line: &str) -> std::io::Result<()> {
        self.manner = {
            let mut state = self.shared.held();
            state.named += 1;
            state.next.pop_front().unwrap_or(Manner::Accept)
        };
        self.shared.changed.notify_waiters();
        (self.from, self.to) = (bracketed(line), Vec::new());
        match self.manner {
            Manner::Hang => std::future::pending().await,
            Manner::WantLogin => self.say("530 5.7.0 Authentication required").await,
            _ => self.say("250 2.1.0 ok").await,
        }
    }

    async fn rcpt(&mut self, line: &str) -> std::io::Result<()> {
        let to = bracketed(line);
        let answer = match self.manner {
            Manner::PutOff => "451 4.7.1 try again later".to_owned(),
            Manner::Refuse => format!("550 5.1.1 <{to}> user unknown"),
            _ => "250 2.1.5 ok".to_owned(),
        };
        self.to.push(to);
        self.say(&answer).await
    }

    /// False when the connection is to be broken.
    async fn data(&mut self) -> std::io::Result<bool> {
        self.say("354 go on").await?;
        let mut data = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            if line == ".\r\n" {
                break;
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
        let taken = Trapped { from: self.from.clone(), to: self.to.clone(), data };
        self.shared.held().taken.push(taken);
        self.shared.changed.notify_waiters();
        if self.manner == Manner::TakeAndDrop {
            return Ok(false);
        }
        self.say("250 2.0.0 taken").await?;
        Ok(true)
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

fn bracketed(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(String::new(), |(inner, _)| inner.to_owned())
}
