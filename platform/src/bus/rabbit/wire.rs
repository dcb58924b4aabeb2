//! A connection to the broker: with deadlines for making it, encrypted where the url says so, and one that can be cut.
//!
//! lapin drives each connection from a thread of its own and has no way to give one up: a broker that takes a
//! connection and then says nothing would hold that thread for ever. So the stream below it ends when its owner is gone.
//! TLS is done here with the provider that everything else uses; lapin's own brings a second set of old ciphers for key
//! files that nobody has.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use lapin::types::ShortString;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, Event};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::Settings;
use super::address::Addresses;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Makes connections to one broker.
pub(super) struct Dialer {
    addresses: Addresses,
    attempts: AtomicUsize,
    tls: Option<TlsConnector>,
    heartbeat_seconds: u16,
    timeout: Duration,
}

impl Dialer {
    /// Reads url and certificates.
    pub(super) fn new(settings: &Settings) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let addresses = Addresses::parse(settings.url.expose())?;
        let tls = addresses.encrypted().then(|| encryption(&settings.ca_file)).transpose()?;
        Ok(Self {
            addresses,
            attempts: AtomicUsize::new(0),
            tls,
            heartbeat_seconds: settings.heartbeat_seconds,
            timeout: Duration::from_millis(settings.connect_timeout_ms),
        })
    }

    /// Connects to the next node. `purpose` is what an operator sees in the broker's list of connections.
    pub(super) async fn connect(&self, purpose: &str) -> lapin::Result<Wire> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let mut uri = self.addresses.at(attempt).ok_or_else(|| io::Error::other("no address"))?.clone();
        uri.query.heartbeat = Some(self.heartbeat_seconds);
        let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Sockets(Tokio::current())));
        let options =
            ConnectionProperties::default().with_connection_name(format!("doorward {purpose}").into());
        let (cut, tls, timeout) = (CancellationToken::new(), self.tls.clone(), self.timeout);
        let end = cut.clone();
        let dial = async move |uri: AMQPUri, _| {
            let opened = tokio::time::timeout(timeout, open(&uri, tls.as_ref())).await;
            let io = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            let end = Box::pin(end.clone().cancelled_owned());
            Ok(AsyncTcpStream::Plain(Cuttable { io, end }.compat()))
        };
        let guard = cut.drop_guard();
        let connecting = Connection::connector(uri, runtime, dial, options);
        let connected = tokio::time::timeout(timeout, connecting).await;
        let connection =
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
        Ok(Wire { connection, _cut: guard })
    }
}

/// A connection. Dropping it ends it at once.
pub(super) struct Wire {
    connection: Connection,
    _cut: DropGuard,
}

impl Wire {
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    /// What the broker tells about the connection, such as its end.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + 'static {
        Box::pin(self.connection.events_listener())
    }

    /// Says good-bye.
    pub(super) async fn close(self) {
        let farewell = self.connection.close(200, short("OK").unwrap_or_default());
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

/// A name, as the protocol wants it: at most 255 bytes.
pub(super) fn short(text: impl Into<String>) -> lapin::Result<ShortString> {
    ShortString::try_new(text).map_err(|error| io::Error::other(error).into())
}

/// Whom to trust: the authorities in the file, or the public ones.
fn encryption(ca_file: &Path) -> Result<TlsConnector, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    if ca_file.as_os_str().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else {
        let unread = |error: &dyn std::fmt::Display| {
            format!("rabbitmq.ca_file, {}, can't be read as PEM certificates: {error}", ca_file.display())
        };
        for certificate in CertificateDer::pem_file_iter(ca_file).map_err(|error| unread(&error))? {
            let certificate = certificate.map_err(|error| unread(&error))?;
            roots.add(certificate).map_err(|error| unread(&error))?;
        }
        if roots.is_empty() {
            return Err(unread(&"it holds none").into());
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn open(uri: &AMQPUri, tls: Option<&TlsConnector>) -> io::Result<Box<dyn Io>> {
    let host = uri.authority.host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, uri.authority.port)).await?;
    stream.set_nodelay(true)?;
    match tls.filter(|_| uri.scheme == AMQPScheme::AMQPS) {
        None => Ok(Box::new(stream)),
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Ok(Box::new(tls.connect(name, stream).await?))
        }
    }
}

/// A stream of bytes, encrypted or not.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A stream that breaks when it is cut from outside.
struct Cuttable {
    io: Box<dyn Io>,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

/// A read is always on its way and sees the cut; a write needs no look of its own.
impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Tokio's timers, and streams of our own: what lapin asks of a runtime. It opens no socket by itself, because it is
/// always given one.
#[derive(Clone, Debug)]
struct Sockets(Tokio);

impl Reactor for Sockets {
    type TcpStream = Compat<Cuttable>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl futures_util::AsyncRead + futures_util::AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
