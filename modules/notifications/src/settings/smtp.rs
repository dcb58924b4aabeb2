//! The mail server: section `smtp`. A wrong value is a sentence for the operator.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use contracts::EmailAddress;
use serde::Deserialize;
use url::Url;

/// The mail server: section `smtp`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// `smtps://USER:PASSWORD@HOST` (TLS from the start), `smtp://USER:PASSWORD@HOST` (STARTTLS, required) or
    /// `smtp+insecure://HOST` (no TLS and no password). A server on this machine, `smtp://127.0.0.1:2525`, needs no
    /// TLS either. Empty: no mail server.
    pub url: SmtpUrl,
    /// A second mail server, in the same form: asked when the first one does not take a message. Empty: none.
    pub fallback_url: SmtpUrl,
    /// The sender, as `mail@example.org` or `Name <mail@example.org>`.
    pub from: String,
    /// A file with PEM certificates of authorities to trust beside the public ones. Empty: none.
    pub ca_file: PathBuf,
    /// How many idle connections are kept open, 0 to 64.
    pub idle_connections: usize,
    /// How long an idle connection is kept, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long making a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            url: SmtpUrl::default(),
            fallback_url: SmtpUrl::default(),
            from: String::new(),
            ca_file: PathBuf::new(),
            idle_connections: 4,
            idle_timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
        }
    }
}

impl Smtp {
    /// What is wrong with it, a sentence each. Outside development there must be a mail server.
    #[must_use]
    pub fn problems(&self, development: bool) -> Vec<String> {
        let mut problems = Vec::new();
        if self.url.is_empty() {
            if !self.fallback_url.is_empty() {
                problems.push("smtp.fallback_url is set without smtp.url: set smtp.url first.".to_owned());
            }
            if !development {
                problems.push(
                    "smtp.url is not set, so no mail could leave: set it to `smtps://USER:PASSWORD@HOST`, or use the \
                     development profile, which keeps messages in a mailbox page."
                        .to_owned(),
                );
            }
            return problems;
        }
        problems.extend(self.url.relay().err().map(str::to_owned));
        if let Some(problem) = self.fallback_url.relay().err().filter(|_| !self.fallback_url.is_empty()) {
            problems.push(problem.replace("smtp.url", "smtp.fallback_url"));
        }
        if !self.from.is_empty() {
            problems.extend(self.sender().err().map(str::to_owned));
        } else if !development {
            problems.push(WRONG_SENDER.to_owned());
        }
        if self.idle_connections > 64 {
            problems.push("smtp.idle_connections must be from 0 to 64.".to_owned());
        }
        if self.connect_timeout_ms == 0 {
            problems.push("smtp.connect_timeout_ms must be more than 0.".to_owned());
        }
        problems
    }

    /// The sender's name, when it has one, and address.
    pub(crate) fn sender(&self) -> Result<(Option<String>, EmailAddress), &'static str> {
        let from = if self.from.is_empty() { NOBODY } else { self.from.trim() };
        let (name, address) = match from.strip_suffix('>').and_then(|from| from.split_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", from),
        };
        let address = EmailAddress::parse(address).map_err(|_| WRONG_SENDER)?;
        if name.chars().any(|c| c.is_control() || "<>\"@".contains(c)) {
            return Err(WRONG_SENDER);
        }
        Ok(((!name.is_empty()).then(|| name.to_owned()), address))
    }
}

const WRONG_SENDER: &str =
    "smtp.from must be the sender of all mail, as `mail@example.org` or `Name <mail@example.org>`.";

/// The sender in development, when none is set: a domain that never exists (RFC 2606 section 2).
const NOBODY: &str = "Doorward <no-reply@doorward.invalid>";

/// Where the mail server is. It may hold a password, so it prints only its scheme.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SmtpUrl(String);

/// A mail server and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Relay {
    pub(crate) security: Security,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<(String, String)>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// TLS from the first byte (RFC 8314 section 3.3).
    Implicit,
    /// TLS after STARTTLS (RFC 3207); without it nothing is sent.
    StartTls,
    /// None.
    Insecure,
}

impl SmtpUrl {
    /// Whether there is no mail server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn relay(&self) -> Result<Relay, &'static str> {
        const WRONG: &str = "smtp.url must be `smtps://USER:PASSWORD@HOST:PORT`, `smtp://…` (STARTTLS) or \
                             `smtp+insecure://HOST:PORT`, and nothing may follow the port.";
        let url = Url::parse(&self.0).map_err(|_| WRONG)?;
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Implicit, 465),
            "smtp" => (Security::StartTls, 587),
            "smtp+insecure" => (Security::Insecure, 25),
            _ => return Err(WRONG),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WRONG)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(WRONG);
        }
        let security = if security == Security::StartTls && is_this_machine(host) && url.username().is_empty()
        {
            Security::Insecure
        } else {
            security
        };
        let credentials = match (decoded(url.username()), url.password().map(decoded)) {
            (user, None) if user.is_empty() => None,
            (user, Some(password)) if !user.is_empty() => Some((user, password)),
            _ => return Err("smtp.url must hold a user and a password, or neither."),
        };
        if security == Security::Insecure && credentials.is_some() {
            return Err(
                "smtp.url must not hold a password when it says `smtp+insecure`: it would cross the network \
                        readable. Use `smtps://` or `smtp://`.",
            );
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Relay { security, host, port: url.port().unwrap_or(port), credentials })
    }
}

/// Whether what is sent there never leaves this machine.
pub(super) fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The form decoder is the percent decoder that is at hand; a plus, which it would read as a space, is kept from it.
fn decoded(part: &str) -> String {
    let part = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(part.as_bytes()).map(|(text, _)| text.into_owned()).next().unwrap_or_default()
}

impl From<&str> for SmtpUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once("://") {
            Some((scheme, _)) => write!(f, "{scheme}://***"),
            None if self.0.is_empty() => Ok(()),
            None => f.write_str("***"),
        }
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(url: &str) -> Result<Relay, &'static str> {
        SmtpUrl::from(url).relay()
    }

    #[test]
    fn the_scheme_says_how_the_connection_is_protected() {
        let of = |url| relay(url).map(|relay| (relay.security, relay.host, relay.port));
        assert_eq!(of("smtps://u:p@mx.example"), Ok((Security::Implicit, "mx.example".to_owned(), 465)));
        assert_eq!(of("smtp://u:p@mx.example"), Ok((Security::StartTls, "mx.example".to_owned(), 587)));
        assert_eq!(
            of("smtp+insecure://127.0.0.1:2525"),
            Ok((Security::Insecure, "127.0.0.1".to_owned(), 2525))
        );
        assert_eq!(of("smtp://127.0.0.1:2525"), Ok((Security::Insecure, "127.0.0.1".to_owned(), 2525)));
        assert_eq!(of("smtp://[::1]:2525"), Ok((Security::Insecure, "::1".to_owned(), 2525)));
        assert_eq!(of("smtp://localhost"), Ok((Security::Insecure, "localhost".to_owned(), 587)));
        assert_eq!(of("smtp://u:p@localhost"), Ok((Security::StartTls, "localhost".to_owned(), 587)));
        assert_eq!(
            of("smtp://localhost.evil.test"),
            Ok((Security::StartTls, "localhost.evil.test".to_owned(), 587))
        );
        assert_eq!(of("smtps://[::1]:2465/"), Ok((Security::Implicit, "::1".to_owned(), 2465)));
        let spelled =
            relay("smtps://mail%40example.org:a+b%2F%26=%20c@mx.example").unwrap_or_else(|_| unreachable!());
        assert_eq!(spelled.credentials, Some(("mail@example.org".to_owned(), "a+b/&= c".to_owned())));
    }

    #[test]
    fn what_would_be_unsafe_or_misread_is_refused() {
        let bad = [
            "mx.example",
            "http://mx.example",
            "smtps://",
            "smtps://mx.example/path",
            "smtps://mx.example?tls=none",
            "smtps://mx.example#x",
            "smtps://u@mx.example",
            "smtps://:p@mx.example",
            "smtp+insecure://u:p@mx.example",
        ];
        for url in bad {
            assert!(relay(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let smtp = Smtp { url: "smtps://user:hunter2@mx.example".into(), ..Smtp::default() };
        let text = format!("{smtp:?} {}", smtp.url);
        assert!(
            !text.contains("hunter2") && !text.contains("user") && !text.contains("mx.example"),
            "{text}"
        );
    }

    #[test]
    fn only_development_may_go_without_a_mail_server() {
        let none = Smtp::default();
        assert!(none.problems(true).is_empty());
        assert!(none.problems(false).first().is_some_and(|told| told.contains("smtp.url is not set")));
        let unsigned = Smtp { url: "smtps://mx.example".into(), ..Smtp::default() };
        assert_eq!(unsigned.problems(true), Vec::<String>::new());
        assert!(unsigned.problems(false).first().is_some_and(|told| told.contains("smtp.from")));
        let whole = Smtp { from: "Doorward <mail@example.org>".to_owned(), ..unsigned };
        assert!(whole.problems(false).is_empty(), "{:?}", whole.problems(false));
    }

    #[test]
    fn a_sender_is_a_name_and_an_address() {
        let sender = |from: &str| Smtp { from: from.to_owned(), ..Smtp::default() }.sender();
        assert_eq!(sender("a@b.org").map(|(name, _)| name), Ok(None));
        assert_eq!(sender("Ä & Co <a@b.org>").map(|(name, _)| name), Ok(Some("Ä & Co".to_owned())));
        for wrong in ["a", "Name <a>", "a@b.org, c@d.org", "x\r\ny <a@b.org>", "<a@b.org"] {
            assert!(sender(wrong).is_err(), "{wrong}");
        }
    }
}
