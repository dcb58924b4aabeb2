//! The cable between a test and a server: it can be pulled, and it can be there without anything coming through.

use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::certificates;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// They pass.
    Whole,
    /// Connections break, and new ones as well.
    Pulled,
    /// Nothing passes and nothing breaks.
    Stalled,
}

/// A TCP connection's way to a server, under the test's control.
pub struct Cable {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

impl Cable {
    /// Lays one to this `HOST:PORT`.
    pub async fn to(server: &str) -> Self {
        Self::lay(server, None).await
    }

    /// Lays one to this `HOST:PORT` whose near end speaks TLS with a certificate for `name`; with a file that holds the
    /// authority behind it.
    pub async fn encrypted_to(server: &str, name: &str) -> (Self, NamedTempFile) {
        let (acceptor, authority) = certificates::acceptor(name);
        (Self::lay(server, Some(acceptor)).await, authority)
    }

    async fn lay(server: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(watch::Sender::new(State::Whole));
        let (server, shared) = (server.to_owned(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *shared.borrow() == State::Pulled {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server).await else { continue };
                let near: Box<dyn Stream> = match &tls {
                    None => Box::new(near),
                    Some(tls) => match tls.accept(near).await {
                        Ok(near) => Box::new(near),
                        Err(_) => continue,
                    },
                };
                let ((near_in, near_out), (far_in, far_out)) = (tokio::io::split(near), far.into_split());
                tokio::spawn(carry(near_in, far_out, shared.subscribe()));
                tokio::spawn(carry(far_in, near_out, shared.subscribe()));
            }
        });
        Self { address, state }
    }

    /// Its near end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and refuses new ones.
    pub fn pull(&self) {
        self.state.send_replace(State::Pulled);
    }

    /// Keeps every connection open, and lets nothing through.
    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    /// Makes it whole again. What was broken stays broken; what waited goes on.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16_384];
    loop {
        if state.wait_for(|state| *state != State::Stalled).await.is_err() || *state.borrow() == State::Pulled
        {
            return;
        }
        tokio::select! {
            _ = state.changed() => {}
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => {
                    // What was read while it was stalled waits as well.
                    if state.wait_for(|state| *state != State::Stalled).await.is_err()
                        || *state.borrow() == State::Pulled
                        || to.write_all(&buffer[..count]).await.is_err()
                    {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
