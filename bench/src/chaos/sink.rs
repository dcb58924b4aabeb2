//! A mail server that takes everything and remembers which messages came, so that doubled ones are counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How often each message came, by its Message-ID.
type Taken = Arc<Mutex<BTreeMap<String, usize>>>;

pub(crate) struct Sink {
    address: SocketAddr,
    taken: Taken,
}

impl Sink {
    /// Serves as long as the runtime lives.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Taken::default());
        let all = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let taken = Arc::clone(&all);
                tokio::spawn(async move {
                    // A client that is killed ends only its own connection.
                    let _ = serve(socket, &taken).await;
                });
            }
        });
        Self { address, taken }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp+insecure://{}", self.address)
    }

    pub(crate) fn taken(&self) -> BTreeMap<String, usize> {
        self.taken.lock().unwrap().clone()
    }
}

async fn serve(socket: TcpStream, taken: &Taken) -> std::io::Result<()> {
    let mut stream = BufReader::new(socket);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let Some(id) = message(&mut stream).await? else { return Ok(()) };
                *taken.lock().unwrap().entry(id).or_default() += 1;
                b"250 taken\r\n"
            }
            "QUIT" => return Ok(()),
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}

/// Reads a message to its end; its Message-ID. None when the client went away in the middle.
async fn message(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut id = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line == ".\r\n" {
            return Ok(Some(id));
        }
        if id.is_empty() && line.to_ascii_lowercase().starts_with("message-id:") {
            id = line[11..].trim().trim_matches(['<', '>']).to_owned();
        }
    }
}
