//! `doorward health`: asks the process that runs with the same settings whether it takes requests. For containers, whose
//! image has nothing else that could ask.
//!
//! Left out: certificates. A management listener that speaks TLS is not asked; the public one answers the same, in plain.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::settings::ServerSettings;
use crate::{StartError, say};

/// How long connecting and answering may take together.
const PATIENCE: Duration = Duration::from_secs(4);

/// The first line of an answer is not longer than this, in bytes.
const LINE: usize = 128;

/// Succeeds when the process answers 200 at `/readyz`; otherwise says why not.
pub(crate) fn check(server: &ServerSettings) -> Result<(), StartError> {
    let (setting, address) = listener(server);
    if address.port() == 0 {
        return Err(StartError(format!(
            "`{setting}` has port 0, so nobody knows which one it is: name a port."
        )));
    }
    let address = within_reach(address);
    let status = ask(address)
        .map_err(|error| StartError::because(&format!("Nobody answers on {address} (`{setting}`)"), error))?;
    if status == "200" {
        return say("It takes requests.");
    }
    Err(StartError(format!("It takes no requests: {address} answered {status} at /readyz.")))
}

/// The listener to ask, with the name of its setting.
fn listener(server: &ServerSettings) -> (&'static str, SocketAddr) {
    if server.management.tls.certificate_file.is_empty() {
        ("server.management.address", server.management.address)
    } else {
        ("server.public.address", server.public.address)
    }
}

/// Where a listener is reached from its own machine: one for every address, on the loopback.
pub(crate) fn within_reach(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The status of `GET /readyz`, three digits as they came.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut line = Vec::new();
    let mut some = [0; LINE];
    while line.len() < LINE && !line.contains(&b'\n') {
        // What trickles in is no reason to wait any longer.
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut some)? {
            0 => break,
            read => line.extend(some.iter().take(read)),
        }
    }
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    status.map(str::to_owned).ok_or_else(|| std::io::Error::other("what came is no HTTP"))
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::net::TcpListener;

    use super::*;
    use crate::settings::{ListenerSettings, ManagementSettings};
    use crate::tls::TlsSettings;

    fn settings(public: &str, management: &str) -> ServerSettings {
        ServerSettings {
            public: ListenerSettings { address: public.parse().unwrap() },
            management: ManagementSettings {
                address: management.parse().unwrap(),
                tls: TlsSettings::default(),
            },
            drain_seconds: 0,
            grace_seconds: 20,
            trusted_proxies: Vec::new(),
            forwarded_header: platform::http::ForwardedHeader::default(),
            header_timeout_ms: 5000,
            body_timeout_ms: 30_000,
        }
    }

    /// What is said of a server that answers with these bytes.
    fn said_of(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (stream, _) = listener.accept().unwrap();
                let asked = std::io::BufReader::new(&stream).lines().map_while(Result::ok);
                let asked: Vec<String> = asked.take_while(|line| !line.is_empty()).collect();
                assert_eq!(asked[0], "GET /readyz HTTP/1.1");
                (&stream).write_all(answer.as_bytes()).unwrap();
            });
            let said = check(&settings("127.0.0.1:1", &format!("0.0.0.0:{port}")));
            // So that a check that asks nobody fails, and does not wait for ever.
            let _ = TcpStream::connect(("127.0.0.1", port));
            said.map_err(|error| error.to_string())
        })
    }

    #[test]
    fn only_200_is_healthy() {
        said_of("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let told = said_of("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        assert!(told.contains("503"), "{told}");
        for nonsense in ["", "HTTP/1.1 20", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 2\u{fc}0 OK\r\n"] {
            assert!(said_of(nonsense).unwrap_err().contains("no HTTP"), "{nonsense:?}");
        }
    }

    #[test]
    fn a_listener_for_every_address_is_asked_on_the_loopback() {
        let reach = |address: &str| within_reach(address.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(reach("[::]:9090"), "[::1]:9090");
        assert_eq!(reach("10.0.0.1:9090"), "10.0.0.1:9090");
    }

    #[test]
    fn where_management_speaks_tls_the_public_listener_is_asked() {
        let mut server = settings("0.0.0.0:8080", "0.0.0.0:9090");
        assert_eq!(listener(&server).1.port(), 9090);
        "site.pem".clone_into(&mut server.management.tls.certificate_file);
        assert_eq!(listener(&server).1.port(), 8080);
    }

    #[test]
    fn a_port_that_nobody_knows_is_told() {
        let told = check(&settings("127.0.0.1:1", "127.0.0.1:0")).unwrap_err().to_string();
        assert!(told.contains("server.management.address"), "{told}");
    }
}
