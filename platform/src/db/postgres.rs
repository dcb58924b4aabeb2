//! PostgreSQL: making a connection with deadlines for everything, and looking over the server behind it.
//!
//! The driver could try several hosts by itself, but it bounds only the TCP connection, and that for each address anew: a
//! server that takes connections and says nothing would be waited for without end, and the next one never be asked. So
//! the places are gone through here, and the driver sees one address at a time.

use std::net::IpAddr;
use std::time::Duration;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use rand::seq::SliceRandom as _;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conn::DbConn;
use super::encryption::Encryption;
use super::error::{Error, Result};
use super::settings::Settings;

/// How long making a connection may take at most, whatever the settings say: a day, so that its end is in the calendar.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The versions of PostgreSQL that Doorward is made for.
const OLDEST: i32 = 14;
const NEWEST: i32 = 18;

/// How connections to one PostgreSQL database are made.
#[derive(Clone)]
pub(super) struct Connector {
    /// Everything but where.
    config: Config,
    /// Where, in the order of the url; at least one.
    places: Vec<Place>,
    /// How long making a connection may take, whichever place it leads to.
    within: Duration,
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
        let read: Config = url.parse().map_err(|_| {
            Error::Setup(
                "The PostgreSQL url can't be read. It looks like `postgres://USER:PASSWORD@HOST:PORT/NAME`; \
                 special characters in the password are written as %XX."
                    .to_owned(),
            )
        })?;
        let (mut config, places) = (without_places(&read), Place::all(&read)?);
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
        if places.len() > 1 && !url.contains("target_session_attrs=") {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let open_to_others = encryption.trusts_anybody() && !places.iter().all(Place::is_here);
        let (tls, within) = (encryption.connector()?, settings.connect_timeout().min(LONGEST));
        Ok(Self { config, places, within, tls, deadlines, open_to_others })
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

    /// Connects to the first server that answers and is fit, within [`Settings::connect_timeout_ms`]. Each host gets its
    /// share of the time, and of that each of its addresses, so that one that says nothing leaves some to those after it.
    ///
    /// Dropped midway, it leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Unavailable`], of the last one that was asked.
    pub(super) async fn connect(&self) -> Result<DbConn> {
        let (end, mut failure) = (Instant::now() + self.within, nobody());
        let mut places: Vec<&Place> = self.places.iter().collect();
        self.mix(&mut places);
        let mut left = places.len();
        for place in places {
            match self.connect_to(place, share(end, left)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
            left = left.saturating_sub(1);
        }
        Err(failure)
    }

    /// One host, which may have several addresses.
    async fn connect_to(&self, place: &Place, end: Instant) -> Result<DbConn> {
        let mut found = timeout_at(end, place.found()).await.unwrap_or_else(|_| Err(silent()))?;
        self.mix(&mut found);
        self.first_of(&found, end).await
    }

    async fn first_of(&self, places: &[Place], end: Instant) -> Result<DbConn> {
        let (mut left, mut failure) = (places.len(), nobody());
        for place in places {
            let made = timeout_at(share(end, left), self.connect_at(place)).await;
            match made.unwrap_or_else(|_| Err(silent())) {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
            left = left.saturating_sub(1);
        }
        Err(failure)
    }

    /// One address: TCP, TLS, who we are, and what holds for the whole connection.
    async fn connect_at(&self, place: &Place) -> Result<DbConn> {
        let config = place.added_to(&self.config);
        let connecting = config.connect(self.tls.clone());
        let (client, connection) = connecting.await.map_err(|error| refused(&error))?;
        let connection = AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(|_| Error::Unavailable("the new connection can't be set up".into()))?;
        Ok(DbConn::postgres(connection, self.deadlines.clone()))
    }

    /// Puts places into an order of chance when the url says `load_balance_hosts=random`.
    fn mix<T>(&self, places: &mut [T]) {
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            places.shuffle(&mut rand::rng());
        }
    }

    /// Whether somebody between here and the server could pretend to be it: it is elsewhere, and its certificate is not
    /// looked at.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.open_to_others
    }
}

/// Where a server may be: a host that the url names, or one address of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Its certificate is for this name; none where the url gives nothing but the address.
    host: Option<Host>,
    /// None where the name has to be looked up, and for a socket in the file system.
    address: Option<IpAddr>,
    port: u16,
}

impl Place {
    /// Everything that a url names, as the driver would read it.
    ///
    /// # Errors
    /// [`Error::Setup`] when it names nothing, or not as many of one as of the other.
    fn all(config: &Config) -> Result<Vec<Self>> {
        let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
        let count = hosts.len().max(addresses.len());
        let fits = |length: usize| length == 0 || length == count;
        if count == 0
            || !fits(hosts.len())
            || !fits(addresses.len())
            || !(ports.len() == 1 || fits(ports.len()))
        {
            return Err(Error::Setup(
                "The PostgreSQL url must name a host; and when it names several, as many ports or one for all, and as \
                 many addresses (hostaddr) or none."
                    .to_owned(),
            ));
        }
        let place = |at: usize| Self {
            host: hosts.get(at).cloned(),
            address: addresses.get(at).copied(),
            port: ports.get(at).or(ports.first()).copied().unwrap_or(5432),
        };
        Ok((0..count).map(place).collect())
    }

    /// Whether it is on this machine.
    fn is_here(&self) -> bool {
        match (&self.address, &self.host) {
            (Some(address), _) => address.is_loopback(),
            (None, Some(Host::Tcp(name))) => {
                name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            (None, Some(Host::Unix(_)) | None) => true,
        }
    }

    /// The same with an address; as often as the name has one.
    async fn found(&self) -> Result<Vec<Self>> {
        let (None, Some(Host::Tcp(name))) = (self.address, &self.host) else { return Ok(vec![self.clone()]) };
        let addresses = tokio::net::lookup_host((name.as_str(), self.port)).await.map_err(|_| nobody())?;
        let mut places: Vec<Self> =
            addresses.map(|found| Self { address: Some(found.ip()), ..self.clone() }).collect();
        places.dedup();
        Ok(places)
    }

    fn added_to(&self, config: &Config) -> Config {
        let mut config = config.clone();
        match &self.host {
            Some(Host::Tcp(name)) => _ = config.host(name.as_str()),
            Some(Host::Unix(folder)) => _ = config.host_path(folder),
            None => {}
        }
        if let Some(address) = self.address {
            config.hostaddr(address);
        }
        config.port(self.port);
        config
    }
}

/// What a url says, except where: the driver can't forget a host. What [`Connector::new`] sets anyway is left out.
fn without_places(url: &Config) -> Config {
    let mut config = Config::new();
    config
        .ssl_negotiation(url.get_ssl_negotiation())
        .channel_binding(url.get_channel_binding())
        .target_session_attrs(url.get_target_session_attrs())
        .load_balance_hosts(url.get_load_balance_hosts())
        .keepalives(url.get_keepalives());
    if let Some(user) = url.get_user() {
        config.user(user);
    }
    if let Some(password) = url.get_password() {
        config.password(password);
    }
    if let Some(name) = url.get_dbname() {
        config.dbname(name);
    }
    if let Some(options) = url.get_options() {
        config.options(options);
    }
    if let Some(name) = url.get_application_name() {
        config.application_name(name);
    }
    config
}

/// When the next of so many must be done, so that each has as much time as the others.
fn share(end: Instant, left: usize) -> Instant {
    let (now, left) = (Instant::now(), u32::try_from(left).unwrap_or(u32::MAX).max(1));
    now + end.saturating_duration_since(now) / left
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
        None => nobody(),
    }
}

fn nobody() -> Error {
    Error::Unavailable("no connection to PostgreSQL".into())
}

fn silent() -> Error {
    Error::Unavailable("PostgreSQL does not answer in time".into())
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
        assert!(
            open("postgres://u:p@localhost/d?hostaddr=192.0.2.1"),
            "the name is only for the certificate"
        );
        assert!(!open("postgres://u:p@db.example.org/d?hostaddr=127.0.0.1"));
        assert!(!open("postgres://u:p@%2Frun%2Fpostgresql/d"));
    }

    #[test]
    fn places_are_read_as_the_driver_reads_them_and_nothing_else_gets_lost() {
        let url = "postgres://u:p%40p@one,two:6432,[::1]:7432/d?options=-c%20geqo%3Doff&channel_binding=disable\
                   &application_name=own&load_balance_hosts=random";
        let connector = Connector::new(url, &Settings::default()).unwrap();
        let place = |name: &str, port| Place { host: Some(Host::Tcp(name.to_owned())), address: None, port };
        assert_eq!(connector.places, [place("one", 5432), place("two", 6432), place("::1", 7432)]);
        let mut expected: Config = url.parse().unwrap();
        expected = connector.places[2].added_to(&without_places(&expected));
        assert_eq!(
            (expected.get_hosts(), expected.get_ports()),
            (&[Host::Tcp("::1".to_owned())][..], &[7432][..])
        );
        assert_eq!((expected.get_user(), expected.get_password()), (Some("u"), Some(&b"p@p"[..])));
        assert_eq!((expected.get_dbname(), expected.get_options()), (Some("d"), Some("-c geqo=off")));
        assert_eq!(expected.get_application_name(), Some("own"));
        assert_eq!(expected.get_channel_binding(), tokio_postgres::config::ChannelBinding::Disable);
        assert_eq!(connector.config.get_load_balance_hosts(), LoadBalanceHosts::Random);
        assert_eq!(connector.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn a_url_that_leads_nowhere_is_told_at_the_start() {
        for url in [
            "postgres:///d",
            "postgres://u@one/d?port=6432",
            "postgres://u@one,two/d?hostaddr=127.0.0.1",
            "postgres://u@one,two,three/d?port=1",
        ] {
            assert!(sentence(url).contains("must name a host"), "{url}");
        }
        assert_eq!(sentence("postgres:///d?host=/run/postgresql&port=6432"), "");
    }

    #[test]
    fn an_address_that_says_nothing_leaves_its_share_of_the_time_to_the_next_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let silent = [0_u16; 3].map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap());
            let places = silent.each_ref().map(|listener| Place {
                host: None,
                address: Some(IpAddr::from([127, 0, 0, 1])),
                port: listener.local_addr().unwrap().port(),
            });
            let connector = Connector::new("postgres://u:p@127.0.0.1/d", &Settings::default()).unwrap();
            let began = Instant::now();
            let end = began + Duration::from_millis(300);
            let told = connector.first_of(&places, end).await.unwrap_err().to_string();
            assert!(told.contains("in time"), "{told}");
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
            for listener in silent {
                listener.set_nonblocking(true).unwrap();
                assert!(listener.accept().is_ok(), "one was not asked");
            }
        });
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
