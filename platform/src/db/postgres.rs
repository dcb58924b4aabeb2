//! PostgreSQL: making a connection with deadlines for everything.
//!
//! Encrypted connections are not made yet. A url that asks for one is refused, never served in the clear.

use std::time::Duration;

use diesel_async::AsyncPgConnection;
use tokio_postgres::{Config, NoTls};

use super::error::{Error, Result};
use super::settings::Settings;

/// How connections to one PostgreSQL database are made.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
}

impl Connector {
    /// Reads the url and adds the deadlines.
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        refuse_encryption(url)?;
        // The parser's words could repeat a part of the url, and so of the password.
        let mut config: Config = url.parse().map_err(|_| {
            Error::Setup(
                "The PostgreSQL url can't be read. It looks like `postgres://USER:PASSWORD@HOST:PORT/NAME`; \
                 special characters in the password are written as %XX."
                    .to_owned(),
            )
        })?;
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
            config.get_options().unwrap_or_default(),
            settings.statement_timeout_ms,
            settings.lock_timeout_ms,
            settings.idle_transaction_timeout_ms,
        );
        config
            .options(options)
            .connect_timeout(settings.connect_timeout())
            .keepalives_idle(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("doorward");
        }
        Ok(Self { config })
    }

    /// The same connection for migrations, whose statements may take as long as they need.
    pub(super) fn patient(mut self) -> Self {
        let options = format!("{} -c statement_timeout=0", self.config.get_options().unwrap_or_default());
        self.config.options(options);
        self
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection> {
        let (client, connection) = self.config.connect(NoTls).await.map_err(|error| refused(&error))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(|_| Error::Unavailable("the new connection can't be set up".into()))
    }
}

/// The server's own refusal (no such database, wrong password) is worth telling; a network error may name hosts.
fn refused(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(refusal) => Error::Unavailable(format!("PostgreSQL says: {}", refusal.message()).into()),
        None => Error::Unavailable("no connection to PostgreSQL".into()),
    }
}

fn refuse_encryption(url: &str) -> Result<()> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mode = query.split('&').find_map(|pair| pair.strip_prefix("sslmode="));
    match mode {
        None | Some("disable" | "prefer") => Ok(()),
        Some(mode) => Err(Error::Setup(format!(
            "The PostgreSQL url says sslmode={mode}, and this version makes no encrypted connections to PostgreSQL \
             yet. Rather than going in the clear it stops here: use sslmode=disable on a network you trust, or a \
             tunnel that encrypts."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(url: &str) -> String {
        Connector::new(url, &Settings::default()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_url_that_asks_for_encryption_is_refused_instead_of_going_in_the_clear() {
        for mode in ["require", "verify-ca", "verify-full", "allow"] {
            let sentence = sentence(&format!("postgres://u:p@h/d?connect_timeout=1&sslmode={mode}"));
            assert!(sentence.contains(&format!("sslmode={mode}")), "{sentence}");
        }
        assert_eq!(sentence("postgres://u:p@h/d?sslmode=disable"), "");
        assert_eq!(sentence("postgres://u:p@h/d"), "");
    }

    #[test]
    fn an_unreadable_url_is_not_repeated() {
        let sentence = sentence("postgres://u:hunter2@h:port/d");
        assert!(sentence.contains("can't be read") && !sentence.contains("hunter2"), "{sentence}");
    }
}
