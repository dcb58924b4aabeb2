//! Making a connection: to one server, to the one that sentinels name, or to a cluster.
//!
//! RESP3, so that commands and what is told on channels share one connection: it breaks for both or for neither.
//! Nothing is tried twice in here: a command that a cluster would send elsewhere fails, and a new connection is made.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError,
    TlsCertificates, TlsMode,
};

use super::Unfit;
use super::settings::{Settings, Target};
use super::wire::{Fuse, Link, Wire};

/// Knows how to connect.
pub(super) struct Connector {
    target: Target,
    certificates: Option<TlsCertificates>,
    deadline: Duration,
    patience: Duration,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Option<Self>, Unfit> {
        let Some(target) = settings.url.target().map_err(Unfit)? else { return Ok(None) };
        let certificates = match settings.ca_file.as_str() {
            "" => None,
            file => {
                let pem = std::fs::read(file)
                    .map_err(|error| Unfit(format!("redis.ca_file {file} can't be read: {error}.")))?;
                Some(TlsCertificates { client_tls: None, root_cert: Some(pem) })
            }
        };
        let (deadline, patience) = (settings.deadline(), settings.connect_timeout());
        Ok(Some(Self { target, certificates, deadline, patience }))
    }

    /// A new connection, which gives `hear` what is told on it; or what went wrong.
    pub(super) async fn connect(
        &self,
        hear: impl Fn(&PushInfo) + Send + Sync + 'static,
    ) -> Result<Wire, String> {
        let fuse = Arc::<Fuse>::default();
        let blown = Arc::clone(&fuse);
        let sender = move |info: PushInfo| {
            if info.kind == PushKind::Disconnection {
                blown.blow();
            }
            hear(&info);
            Ok::<(), std::convert::Infallible>(())
        };
        let link = tokio::time::timeout(self.patience, self.link(sender)).await;
        let link = link.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        Ok(Wire::new(link, fuse, self.deadline))
    }

    async fn link(
        &self,
        sender: impl Fn(PushInfo) -> Result<(), std::convert::Infallible> + Send + Sync + 'static,
    ) -> Result<Link, RedisError> {
        let config = || {
            AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.patience))
                .set_response_timeout(Some(self.deadline))
        };
        match &self.target {
            Target::One(info) => {
                let client = self.client(resp3(info))?;
                let config = config().set_push_sender(sender);
                Ok(Link::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Target::Sentinel { nodes, name, tls } => {
                let mut sentinels = self.sentinels(nodes, name, *tls)?;
                let config = config().set_push_sender(sender);
                Ok(Link::One(sentinels.get_async_connection_with_config(&config).await?))
            }
            Target::Cluster { nodes } => {
                let mut cluster = ClusterClient::builder(nodes.iter().map(resp3))
                    .use_protocol(ProtocolVersion::RESP3)
                    .retries(0)
                    .connection_timeout(self.patience)
                    .response_timeout(self.deadline)
                    .push_sender(sender);
                if let Some(certificates) = &self.certificates {
                    cluster = cluster.certs(certificates.clone());
                }
                Ok(Link::Cluster(cluster.build()?.get_async_connection().await?))
            }
        }
    }

    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        match (&self.certificates, info.addr()) {
            (Some(certificates), redis::ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())
            }
            _ => Client::open(info),
        }
    }

    /// The user and the password are those of the servers; sentinels are asked without.
    fn sentinels(
        &self,
        nodes: &[ConnectionInfo],
        name: &str,
        tls: bool,
    ) -> Result<SentinelClient, RedisError> {
        let addresses = nodes.iter().map(|node| node.addr().clone());
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3);
        if let Some(node) = nodes.first().map(ConnectionInfo::redis_settings) {
            if let Some(user) = node.username() {
                builder = builder.set_client_to_redis_username(user);
            }
            if let Some(password) = node.password() {
                builder = builder.set_client_to_redis_password(password);
            }
        }
        if tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &self.certificates {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        builder.build()
    }
}

fn resp3(info: &ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    info.clone().set_redis_settings(settings)
}
