//! Handing letters to a mail server (RFC 5321), over TLS whose certificate and host name are verified.
//!
//! Connections are kept in a small pool of our own: the one that comes with lettre takes a connection back when a send
//! is dropped in the middle, and the next message would read the answers of the one before. Here a connection goes
//! back only after a send that ended well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use contracts::EmailAddress;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::{Code, Severity};
use lettre::{Address, Message};
use tokio::net::TcpStream;

use super::Channel;
use crate::error::StartError;
use crate::model::{Destination, Failure, Letter, Reason, Unsubscribe, words};
use crate::settings::{Relay, Security, Smtp, SmtpUrl};

/// The mail servers that the settings name, in order.
pub(in crate::service) fn mail_servers(smtp: &Smtp) -> Result<Vec<Arc<dyn Channel>>, StartError> {
    let urls = [&smtp.url, &smtp.fallback_url].into_iter().filter(|url| !url.is_empty());
    let server = |url| {
        let channel: Arc<dyn Channel> = Arc::new(SmtpChannel::new(smtp, url)?);
        Ok(channel)
    };
    urls.map(server).collect()
}

struct SmtpChannel {
    relay: Relay,
    tls: TlsParameters,
    from: Mailbox,
    hello: ClientId,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_connections: usize,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl SmtpChannel {
    fn new(smtp: &Smtp, url: &SmtpUrl) -> Result<Self, StartError> {
        let told = |sentence: &str| StartError(sentence.to_owned());
        let relay = url.relay().map_err(told)?;
        let (name, address) = smtp.sender().map_err(told)?;
        let address = mail_address(&address)
            .ok_or_else(|| told("smtp.from holds an address that mail can't be sent from."))?;
        Ok(Self {
            tls: tls(smtp, &relay)?,
            relay,
            from: Mailbox::new(name, address),
            hello: ClientId::default(),
            connect_timeout: Duration::from_millis(smtp.connect_timeout_ms),
            idle_timeout: Duration::from_millis(smtp.idle_timeout_ms),
            idle_connections: smtp.idle_connections,
            idle: Mutex::default(),
        })
    }

    /// An idle connection that still answers, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Failure> {
        while let Some(mut connection) = self.take_idle() {
            if let Ok(true) = tokio::time::timeout(self.connect_timeout, connection.test_connected()).await {
                return Ok(connection);
            }
        }
        // Whatever goes wrong before the message is named says nothing about the message: it is never permanent.
        let mut connection = match self.relay.security {
            Security::Implicit => self.connect_over_tls().await,
            _ => AsyncSmtpConnection::connect_with_transport(Box::new(self.dial().await?), &self.hello).await,
        }
        .map_err(|error| Failure::unavailable(trouble(&error)))?;
        self.introduce(&mut connection).await.map_err(|error| Failure::unavailable(trouble(&error)))?;
        Ok(connection)
    }

    /// Without waiting to fill packets: the dot that ends a message would lie here for as long as the server puts off
    /// its acknowledgement (some 40 ms), and be handed over even by a process that is killed meanwhile.
    async fn dial(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect((self.relay.host.as_str(), self.relay.port));
        let no_connection =
            |why: &str| Failure::unavailable(format!("No connection to the mail server: {why}."));
        let stream = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| no_connection(&words::line(&error.to_string())))?,
            Err(_elapsed) => return Err(no_connection("it did not answer in time")),
        };
        // A socket that can't be told still sends.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn connect_over_tls(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let server = (self.relay.host.as_str(), self.relay.port);
        let (timeout, tls) = (Some(self.connect_timeout), Some(self.tls.clone()));
        AsyncSmtpConnection::connect_tokio1(server, timeout, &self.hello, tls, None).await
    }

    async fn introduce(&self, connection: &mut AsyncSmtpConnection) -> Result<(), SmtpError> {
        if self.relay.security == Security::StartTls {
            connection.starttls(self.tls.clone(), &self.hello).await?;
        }
        if let Some((user, password)) = &self.relay.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
        }
        Ok(())
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < self.idle_timeout);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_connections {
            idle.push((connection, Instant::now()));
        }
    }

    fn message(&self, address: &EmailAddress, letter: &Letter) -> Result<Message, Failure> {
        let unfit = || Failure::permanent(Reason::Unrenderable, "It can't be written as a mail.");
        let to = mail_address(address).ok_or_else(unfit)?;
        let mut builder = Message::builder();
        if let Some(Unsubscribe { url }) = &letter.unsubscribe {
            // RFC 8058 section 3.1: one click, without a page in between.
            builder = builder
                .raw_header(header("List-Unsubscribe", format!("<{url}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        builder
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(words::line(&letter.subject))
            .message_id(Some(format!("<{}>", letter.message_id)))
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(letter.date.micros().unsigned_abs()))
            // RFC 3834 section 5: so that no out-of-office answer comes back.
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|_| unfit())
    }
}

#[async_trait]
impl Channel for SmtpChannel {
    async fn send(&self, letter: &Letter) -> Result<Option<String>, Failure> {
        let Destination::Email(address) = &letter.to else {
            return Err(Failure::permanent(Reason::ChannelUnavailable, "Mail goes to addresses only."));
        };
        let message = self.message(address, letter)?;
        let mut connection = self.connection().await?;
        let envelope = message.envelope();
        let supported = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        if !address.as_str().is_ascii() && !supported {
            let told = "The mail server takes no addresses beyond ASCII.";
            return Err(Failure::permanent(Reason::ProviderRefused, told));
        }
        // From here on the connection is dropped, and so closed, unless the send ends well.
        let reply = connection.send(envelope, &message.formatted()).await.map_err(|error| refused(&error))?;
        if reply.code().severity != Severity::PositiveCompletion {
            return Err(Failure::unavailable("The mail server answered out of turn."));
        }
        self.keep(connection);
        Ok(None)
    }
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn mail_address(address: &EmailAddress) -> Option<Address> {
    address.as_str().parse().ok()
}

fn tls(smtp: &Smtp, relay: &Relay) -> Result<TlsParameters, StartError> {
    let mut builder =
        TlsParameters::builder(relay.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    let path = &smtp.ca_file;
    if !path.as_os_str().is_empty() {
        let unreadable = |why: &dyn std::fmt::Display| {
            StartError(format!("smtp.ca_file: the certificates in {} can't be read: {why}.", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| unreadable(&error))?);
    }
    builder.build().map_err(|error| StartError(format!("TLS to the mail server can't be set up: {error}.")))
}

/// Why no connection came about. A server's own words are left out: they may name the user.
fn trouble(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("The mail server refused the connection or the login: {code}."),
        None => {
            let why: String = words::line(&causes(error)).chars().take(300).collect();
            format!("No connection to the mail server: {why}.")
        }
    }
}

fn causes(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error).and_then(std::error::Error::source);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What the server said about the message, by its codes alone: its words often repeat the address.
fn refused(error: &SmtpError) -> Failure {
    let Some(code) = error.status() else {
        return Failure::unavailable("The connection to the mail server broke while it was sent.");
    };
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let enhanced = enhanced(&source).map(|code| format!(" {code}")).unwrap_or_default();
    if error.is_permanent() && !about_login(code) {
        let unknown = matches!(enhanced.trim(), "5.1.1" | "5.1.2" | "5.1.3" | "5.1.6" | "5.1.10" | "5.2.1");
        let reason = if unknown { Reason::RecipientRefused } else { Reason::ProviderRefused };
        return Failure::permanent(reason, format!("The mail server refused it: {code}{enhanced}."));
    }
    let put_off = format!("The mail server put it off: {code}{enhanced}.");
    // 421: it closes (RFC 5321 section 3.8). Other 4xx are about this message, such as a full mailbox, and must not
    // keep those of others from going.
    match about_login(code) || code.to_string() == "421" {
        true => Failure::unavailable(put_off),
        false => Failure::temporary(Reason::ProviderUnavailable, put_off),
    }
}

/// 530 to 538: the server wants another login or TLS (RFC 4954 section 6), which is ours to set right and says nothing
/// about the message.
fn about_login(code: Code) -> bool {
    let text = code.to_string();
    text.starts_with("53")
}

/// The enhanced status code (RFC 3463), such as `5.1.1`, at the beginning of a reply.
fn enhanced(reply: &str) -> Option<&str> {
    let code = reply.split_whitespace().next()?;
    let parts: Vec<&str> = code.split('.').collect();
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(number)).then_some(code)
}

#[cfg(test)]
mod tests {
    use contracts::Time;

    use super::*;

    fn channel() -> SmtpChannel {
        let smtp = Smtp {
            url: "smtps://mx.example".into(),
            from: "Döör & Co <mail@example.org>".to_owned(),
            ..Smtp::default()
        };
        SmtpChannel::new(&smtp, &smtp.url).unwrap()
    }

    fn address() -> EmailAddress {
        EmailAddress::parse("mia@example.org").unwrap()
    }

    fn letter() -> Letter {
        Letter {
            to: Destination::Email(address()),
            delivery: "1".to_owned(),
            message_id: "1@host.example".to_owned(),
            date: Time::from_seconds(1_767_225_600),
            subject: "Grüße".to_owned(),
            text: "Text ü\n".to_owned(),
            html: "<p>ü</p>".to_owned(),
            links: Vec::new(),
            segments: 0,
            unsubscribe: None,
        }
    }

    #[test]
    fn a_mail_has_the_headers_it_needs_and_only_ascii() {
        let bytes = channel().message(&address(), &letter()).unwrap().formatted();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.is_ascii());
        for line in [
            "Message-ID: <1@host.example>\r\n",
            "To: mia@example.org\r\n",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "multipart/alternative",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn only_mails_that_may_be_switched_off_say_how() {
        let plain = String::from_utf8(channel().message(&address(), &letter()).unwrap().formatted()).unwrap();
        assert!(!plain.contains("List-Unsubscribe"), "{plain}");
        let url =
            format!("https://id.example.org/api/v1/notifications/unsubscribe?token={}", "a".repeat(150));
        let letter = Letter { unsubscribe: Some(Unsubscribe { url: url.clone() }), ..letter() };
        let text = String::from_utf8(channel().message(&address(), &letter).unwrap().formatted()).unwrap();
        let unfolded = text.replace("\r\n ", "");
        assert!(unfolded.contains(&format!("List-Unsubscribe: <{url}>\r\n")), "{text}");
        assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
    }

    #[test]
    fn no_subject_makes_a_second_header() {
        for evil in ["a\r\nBcc: x@evil.example", "a\nBcc: x@evil.example", "a\rBcc: x", "a\0b", "ü\r\nBcc: x"]
        {
            let letter = Letter { subject: evil.to_owned(), ..letter() };
            let text =
                String::from_utf8(channel().message(&address(), &letter).unwrap().formatted()).unwrap();
            let head = text.split("\r\n\r\n").next().unwrap();
            assert!(!head.to_lowercase().contains("\nbcc:") && !head.contains('\0'), "{evil:?}: {head}");
            assert_eq!(head.matches("Subject: ").count(), 1);
        }
    }

    #[test]
    fn only_codes_of_a_reply_are_kept() {
        assert_eq!(enhanced("5.1.1 <mia@example.org> unknown"), Some("5.1.1"));
        assert_eq!(enhanced("mia@example.org unknown"), None);
        assert_eq!(enhanced("5.1.mia"), None);
        assert_eq!(enhanced(""), None);
    }
}
