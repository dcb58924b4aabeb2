//! HTTP/1.1 as far as it is needed: requests as bytes that are made once, answers of a known length, kept connections.
//!
//! A measuring client shares the processor with what it measures, so it does as little as possible. Left out: TLS,
//! chunked bodies, redirects.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
    if let Some(token) = token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        text.push_str(&format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or(""));
    text.into_bytes()
}

/// What came back; the status is 0 before anything did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Seen<'_> {
    pub(crate) fn has_header(&self, name: &str) -> bool {
        String::from_utf8_lossy(self.head).to_ascii_lowercase().contains(&format!("\r\n{name}:"))
    }
}

/// One connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Seen<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut looked = 0;
        let head = loop {
            self.more().await?;
            if let Some(at) = find(&self.buffer[looked..], b"\r\n\r\n") {
                break looked + at + 4;
            }
            looked = self.buffer.len().saturating_sub(3);
        };
        let status = status(&self.buffer).ok_or_else(|| broken("no status"))?;
        let length = match status {
            204 | 304 => 0,
            _ => content_length(&self.buffer[..head]).ok_or_else(|| broken("no content-length"))?,
        };
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        let (head, body) = self.buffer[..head + length].split_at(head);
        Ok(Seen { status, head, body })
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

pub(crate) fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = *pattern.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        if text[from + at..].starts_with(pattern) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        if !name.eq_ignore_ascii_case(b"content-length:") {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

/// The text between a quoted member's name and the next quotation mark.
pub(crate) fn member<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let pattern = format!("\"{name}\":\"");
    let from = find(body, pattern.as_bytes())? + pattern.len();
    let rest = &body[from..];
    std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == b'"')?]).ok()
}

/// What JSON came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }
}

/// A client for everything that is not measured: one connection, opened again when it broke.
pub(crate) struct Api {
    address: SocketAddr,
    connection: Option<Connection>,
    pub(crate) token: Option<String>,
}

/// A server that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

impl Api {
    pub(crate) fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, connection: None, token: token.map(str::to_owned) }
    }

    /// # Errors
    /// When there is no server or it went away before it had answered.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let body = body.map(Value::to_string);
        let request = request(method, path, self.token.as_deref(), headers, body.as_deref());
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let exchange = tokio::time::timeout(PATIENCE, connection.exchange(&request)).await;
        let seen = exchange.map_err(|_| Error::from(ErrorKind::TimedOut))??;
        let body = serde_json::from_slice(seen.body).unwrap_or(Value::Null);
        let answer = Answer { status: seen.status, body };
        let ends = String::from_utf8_lossy(seen.head).to_ascii_lowercase().contains("\r\nconnection: close");
        self.connection = (!ends).then_some(connection);
        Ok(answer)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, &[], None).await
    }

    /// What is answered as it comes, such as metrics.
    pub(crate) async fn text(address: SocketAddr, path: &str) -> Result<String> {
        let mut connection = Connection::open(address).await?;
        let request = request("GET", path, None, &[], None);
        let exchange = tokio::time::timeout(PATIENCE, connection.exchange(&request)).await;
        let seen = exchange.map_err(|_| Error::from(ErrorKind::TimedOut))??;
        Ok(String::from_utf8_lossy(seen.body).into_owned())
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, &[], Some(body)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_far_as_needed() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\netag: \"3\"\r\n\r\n";
        assert_eq!((status(head), content_length(head)), (Some(200), Some(17)));
        assert!(Seen { status: 200, head, body: b"" }.has_header("etag"));
        assert_eq!(member(br#"{"a":"b","c":"d"}"#, "c"), Some("d"));
        assert_eq!(member(br#"{"a":"b"}"#, "c"), None);
        assert_eq!(find(b"\r\r\n\r\n", b"\r\n\r\n"), Some(1));
    }
}
