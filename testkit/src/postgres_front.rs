//! A stand-in between Doorward and PostgreSQL: encrypts, counts, and cuts connections where it hurts.
//!
//! It knows as much of the protocol as it needs: the request for encryption (PostgreSQL, "Message Formats", `SSLRequest`),
//! and that a transaction ends with the simple query `COMMIT`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::acceptor;

/// Length and code of the request for encryption.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

#[derive(Default)]
struct Shared {
    acceptor: Option<TlsAcceptor>,
    encrypted: AtomicUsize,
    cutting: AtomicBool,
    cut: AtomicUsize,
}

/// A running stand-in; it ends, with its connections, when it is dropped.
pub struct PostgresFront {
    address: SocketAddr,
    ca: Option<tempfile::NamedTempFile>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl PostgresFront {
    /// In front of the server that a url names, without encryption.
    pub async fn start(url: &str) -> Self {
        Self::listen(url, Shared::default(), None).await
    }

    /// The same with a certificate for `name`, signed by an authority of its own: see [`PostgresFront::ca_file`].
    pub async fn start_tls(url: &str, name: &str) -> Self {
        let (acceptor, ca) = acceptor(name);
        Self::listen(url, Shared { acceptor: Some(acceptor), ..Shared::default() }, Some(ca)).await
    }

    async fn listen(url: &str, shared: Shared, ca: Option<tempfile::NamedTempFile>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target: SocketAddr = host(url).parse().unwrap();
        let shared = Arc::new(shared);
        let server = tokio::spawn(accept(listener, target, Arc::clone(&shared)));
        Self { address, ca, shared, server }
    }

    /// The url that leads through here, at this host, with these parameters.
    #[must_use]
    pub fn url(&self, url: &str, name: &str, parameters: &str) -> String {
        let through = url.replace(host(url), &format!("{name}:{}", self.address.port()));
        format!("{through}?{parameters}")
    }

    /// The authority that signed the certificate, as PEM.
    #[must_use]
    pub fn ca_file(&self) -> &str {
        self.ca.as_ref().and_then(|file| file.path().to_str()).unwrap()
    }

    /// How many connections were encrypted.
    #[must_use]
    pub fn encrypted(&self) -> usize {
        self.shared.encrypted.load(Ordering::SeqCst)
    }

    /// From now on, cuts each connection that commits, after the server has and before its answer is handed on; or no
    /// more.
    pub fn cut_commits(&self, cutting: bool) {
        self.shared.cutting.store(cutting, Ordering::SeqCst);
    }

    /// How many were cut.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Drop for PostgresFront {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// `HOST:PORT` in a url.
fn host(url: &str) -> &str {
    let after = url.rsplit_once('@').unwrap().1;
    after.split('/').next().unwrap()
}

async fn accept(listener: TcpListener, target: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        connections.spawn(serve(client, target, Arc::clone(&shared)));
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, shared: Arc<Shared>) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    if first != SSL_REQUEST {
        return relay(client, server, &first, &shared).await;
    }
    match &shared.acceptor {
        None => {
            client.write_all(b"N").await?;
            relay(client, server, &[], &shared).await
        }
        Some(acceptor) => {
            client.write_all(b"S").await?;
            let client = acceptor.accept(client).await?;
            shared.encrypted.fetch_add(1, Ordering::SeqCst);
            relay(client, server, &[], &shared).await
        }
    }
}

async fn relay<C>(client: C, mut server: TcpStream, first: &[u8], shared: &Shared) -> std::io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    server.write_all(first).await?;
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut commits = false;
    loop {
        tokio::select! {
            count = from_client.read(&mut asked) => {
                let Some(bytes) = asked.get(..count?).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
                commits = bytes.windows(6).any(|word| word == b"COMMIT") && shared.cutting.load(Ordering::SeqCst);
                to_server.write_all(bytes).await?;
            }
            count = from_server.read(&mut answered) => {
                let Some(bytes) = answered.get(..count?).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
                if commits {
                    shared.cut.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                to_client.write_all(bytes).await?;
            }
        }
    }
}
