//! Puts a contract on the other end of a loopback connection, as it is when its module lives elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{App, HttpServer, Scope};
use contracts::wire::Peer;

/// Serves internal routes on a free loopback port and returns the peer that reaches them.
pub async fn serve(routes: impl Fn() -> Scope + Send + Clone + 'static) -> Peer {
    let address = listen(routes).await;
    Peer::new(format!("http://{address}"), reqwest::Client::new(), Duration::from_secs(5))
}

/// Serves internal routes on a free loopback port and returns its address. The server lives in a thread of its own
/// and ends with the test process.
pub async fn listen(routes: impl Fn() -> Scope + Send + Clone + 'static) -> SocketAddr {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().service(routes()))
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.await.unwrap()
}
