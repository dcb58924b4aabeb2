//! PostgreSQL: making a connection with deadlines for everything, and looking over the server behind it.

use std::time::Duration;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conn::DbConn;
use super::encryption::Encryption;
use super::error::{Error, Result};
use super::settings::Settings;

/// The versions of PostgreSQL that Doorward is made for.
const OLDEST: i32 = 14;
const NEWEST: i32 = 18;

/// How connections to one PostgreSQL database are made.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// What each transaction says first, where the connection can't say it once for all.
    deadlines: Option<String>,
    /// Somebody between here and the server could pretend to be it.
    open_to_others: bool,
}

impl Connector {
    /// Reads the url and adds the deadlines.
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        let (url, encryption) = Encryption::take_from(url)?;
        // The parser's words could repeat a part of the url, and so of the password.
        let mut config: Config = url.parse().map_err(|_| {
            Error::Setup(
                "The PostgreSQL url can't be read. It looks like `postgres://USER:PASSWORD@HOST:PORT/NAME`; \
                 special characters in the password are written as %XX."
                    .to_owned(),
            )
        })?;
        let deadlines = [
            ("statement_timeout", settings.statement_timeout_ms),
            ("lock_timeout", settings.lock_timeout_ms),
            ("idle_in_transaction_session_timeout", settings.idle_transaction_timeout_ms),
        ];
        // A pooler lends the server's connections to others: nothing may stay on them.
        let deadlines = if settings.transaction_pooling {
            Some(deadlines.map(|(name, value)| format!("SET LOCAL {name} = {value}")).join("; "))
        } else {
            let options = deadlines.map(|(name, value)| format!(" -c {name}={value}")).concat();
            config.options(format!("{}{options}", config.get_options().unwrap_or_default()));
            None
        };
        config
            .ssl_mode(encryption.mode())
            .connect_timeout(settings.connect_timeout())
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(25));
        if config.get_application_name().is_none() {
            config.application_name("doorward");
        }
        // Of several servers, the one that takes writes, whichever it is after a failover.
        if config.get_hosts().len() > 1 && !url.contains("target_session_attrs=") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let open_to_others = encryption.trusts_anybody() && !config.get_hosts().iter().all(is_here);
        Ok(Self { config, tls: encryption.connector()?, deadlines, open_to_others })
    }

    /// The same connection for migrations, whose statements may take as long as they need.
    pub(super) fn patient(mut self) -> Self {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.push_str("; SET LOCAL statement_timeout = 0");
        } else {
            let options = self.config.get_options().unwrap_or_default();
            self.config.options(format!("{options} -c statement_timeout=0"));
        }
        self
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<DbConn> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) = connecting.await.map_err(|error| refused(&error))?;
        let connection = AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(|_| Error::Unavailable("the new connection can't be set up".into()))?;
        Ok(DbConn::postgres(connection, self.deadlines.clone()))
    }

    /// Whether somebody between here and the server could pretend to be it: it is elsewhere, and its certificate is not
    /// looked at.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.open_to_others
    }
}

/// Whether a server is on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// What a server says of itself.
#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Text)]
    synchronous_commit: String,
}

impl Server {
    /// The first setting that lets it lose what it has acknowledged, and what it should be.
    ///
    /// `local` and `remote_write` keep it on this server's disk, which is all there is unless others are synchronous;
    /// where they are, the operator has chosen how much they must have.
    fn loses(&self) -> Option<(&'static str, &'static str)> {
        let settings = [
            ("fsync", &self.fsync, "on"),
            ("full_page_writes", &self.full_page_writes, "on"),
            ("synchronous_commit", &self.synchronous_commit, "on, remote_apply, remote_write or local"),
        ];
        settings.into_iter().find(|(_, value, _)| *value == "off").map(|(name, _, wanted)| (name, wanted))
    }
}

/// Looks the server over: whether it is of a version that Doorward is made for, and whether it keeps what it says that
/// it has kept.
///
/// # Errors
/// [`Error::Setup`] with a sentence that says what to change on the server, or which setting allows it.
pub(super) async fn look_over(connection: &mut DbConn, settings: &Settings) -> Result<()> {
    let server: Server = diesel::sql_query(
        "SELECT current_setting('server_version_num')::int4 / 10000 AS version,
                current_setting('fsync') AS fsync,
                current_setting('full_page_writes') AS full_page_writes,
                current_setting('synchronous_commit') AS synchronous_commit",
    )
    .get_result(connection)
    .await?;
    let version = server.version;
    if version < OLDEST {
        return Err(Error::Setup(format!(
            "PostgreSQL is of version {version}; Doorward needs {OLDEST} to {NEWEST}."
        )));
    }
    if version > NEWEST {
        tracing::warn!(
            version,
            "PostgreSQL is newer than Doorward was made for, which is {OLDEST} to {NEWEST}"
        );
    }
    let Some((name, wanted)) = server.loses() else { return Ok(()) };
    if settings.accept_losing_acknowledged_writes {
        tracing::warn!(setting = name, "PostgreSQL may lose what it has acknowledged, and that was accepted");
        return Ok(());
    }
    Err(Error::Setup(format!(
        "PostgreSQL runs with {name} = off: a crash may lose registrations, logouts and password changes that were \
         acknowledged. Set {name} to {wanted} on the server (or for this user or database). Where losing them does no \
         harm, such as in tests, database.accept_losing_acknowledged_writes = true lets Doorward start."
    )))
}

/// The server's own refusal (no such database, wrong password) is worth telling; a network error may name hosts.
fn refused(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(refusal) => Error::Unavailable(format!("PostgreSQL says: {}", refusal.message()).into()),
        None => Error::Unavailable("no connection to PostgreSQL".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(url: &str) -> String {
        Connector::new(url, &Settings::default()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_server_elsewhere_whose_certificate_is_not_looked_at_is_open_to_others() {
        let open = |url: &str| Connector::new(url, &Settings::default()).unwrap().is_open_to_others();
        assert!(
            open("postgres://u:p@db.example.org/d")
                && open("postgres://u:p@db.example.org/d?sslmode=require")
        );
        assert!(open("postgres://u:p@localhost,db.example.org/d"));
        assert!(!open("postgres://u:p@db.example.org/d?sslmode=verify-full"));
        assert!(!open("postgres://u:p@127.0.0.1/d") && !open("postgres://u:p@localhost/d"));
    }

    #[test]
    fn a_server_that_forgets_what_it_acknowledged_is_told_by_the_setting_that_lets_it() {
        let server = |fsync: &str, pages: &str, commit: &str| Server {
            version: OLDEST,
            fsync: fsync.to_owned(),
            full_page_writes: pages.to_owned(),
            synchronous_commit: commit.to_owned(),
        };
        let named = |server: Server| server.loses().map(|(name, _)| name);
        for commit in ["on", "remote_apply", "remote_write", "local"] {
            assert_eq!(named(server("on", "on", commit)), None);
        }
        assert_eq!(named(server("off", "on", "on")), Some("fsync"));
        assert_eq!(named(server("on", "off", "on")), Some("full_page_writes"));
        assert_eq!(named(server("on", "on", "off")), Some("synchronous_commit"));
    }

    #[test]
    fn an_unreadable_url_is_not_repeated() {
        let sentence = sentence("postgres://u:hunter2@h:port/d");
        assert!(sentence.contains("can't be read") && !sentence.contains("hunter2"), "{sentence}");
    }
}
