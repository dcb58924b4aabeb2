//! `doorward proxy haproxy` and `doorward proxy nginx`: the configuration of a reverse proxy that puts one public address in
//! front of services. It is made of the routes themselves, so that an operation that moves or is new can't be missed.
//!
//! Left out: running the proxy, and certificates.

mod haproxy;
mod nginx;
mod table;

use clap::{Args, ValueEnum};
use contracts::Module;

use crate::settings::Settings;
use crate::{StartError, say};
use table::Table;

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// HAProxy 2.4 or newer
    Haproxy,
    /// nginx 1.18 or newer
    Nginx,
}

/// What the proxy stands in front of.
#[derive(Clone, Debug, Args)]
pub(crate) struct Wanted {
    /// For which proxy
    kind: Kind,
    /// The public address of the proxy
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:80")]
    listen: String,
    /// A process and the modules it has: MODULE=PUBLIC,MANAGEMENT, the addresses of its two listeners; again for each
    /// module and replica
    #[arg(long = "server", value_name = "MODULE=HOST:PORT,HOST:PORT", required = true, value_parser = server)]
    servers: Vec<Server>,
    /// A file with the certificate (for HAProxy with its private key in it); without it plain HTTP is served
    #[arg(long, value_name = "FILE")]
    certificate: Option<String>,
    /// A file with the private key, for nginx
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<String>,
    /// The authority of the management listeners' certificates, when they speak TLS (HAProxy)
    #[arg(long, value_name = "FILE")]
    management_ca: Option<String>,
}

/// A process that has a module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    module: Module,
    public: String,
    management: String,
}

fn server(text: &str) -> Result<Server, String> {
    let wrong =
        || format!("{text} is not MODULE=PUBLIC,MANAGEMENT, such as auth=10.0.0.1:8080,10.0.0.1:9090");
    let (module, addresses) = text.split_once('=').ok_or_else(wrong)?;
    let (public, management) = addresses.split_once(',').ok_or_else(wrong)?;
    let is_address = |address: &str| {
        let host = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:".contains(c))
        };
        let parts = address.rsplit_once(':');
        parts.is_some_and(|(name, port)| host(name) && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if !is_address(public) || !is_address(management) {
        return Err(wrong());
    }
    Ok(Server {
        module: Module::named(module).ok_or_else(wrong)?,
        public: public.to_owned(),
        management: management.to_owned(),
    })
}

impl Wanted {
    fn of(&self, module: Module) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| server.module == module)
    }

    /// Every process once, whatever it has.
    fn processes(&self) -> Vec<&Server> {
        let mut found: Vec<&Server> = Vec::new();
        for server in &self.servers {
            if found.iter().all(|known| known.public != server.public) {
                found.push(server);
            }
        }
        found
    }
}

/// Prints the configuration.
pub(crate) fn print(settings: &Settings, wanted: &Wanted) -> Result<(), StartError> {
    if let Some(module) = Module::ALL.into_iter().find(|module| wanted.of(*module).next().is_none()) {
        return Err(StartError(format!(
            "No process has {module}: add --server {module}=PUBLIC,MANAGEMENT, with the same addresses as another module \
             when they live together."
        )));
    }
    if wanted.certificate.is_some() && wanted.kind == Kind::Nginx && wanted.certificate_key.is_none() {
        return Err(StartError("For nginx, --certificate needs --certificate-key.".to_owned()));
    }
    let table = Table::of_the_routes(settings.profile.is_development());
    let silence = settings.notifications.stream.heartbeat_seconds.saturating_mul(2).saturating_add(45);
    let text = match wanted.kind {
        Kind::Haproxy => haproxy::configuration(wanted, &table, silence),
        Kind::Nginx => nginx::configuration(wanted, &table, silence),
    };
    say(text.trim_end())
}

/// The first lines of every configuration.
fn headline(kind: &str) -> String {
    format!(
        "# Made by `doorward proxy {kind}` of Doorward {}. Don't change it: make it again after an upgrade, because it holds\n\
         # the routes of that version. List the proxy's own address in `server.trusted_proxies` of every service.\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_module_with_two_addresses() {
        let good = server("users=users-1.internal:8080,[fd00::1]:9090").unwrap();
        assert_eq!((good.module, good.management.as_str()), (Module::Users, "[fd00::1]:9090"));
        for bad in [
            "users",
            "users=10.0.0.1:8080",
            "nobody=10.0.0.1:8080,10.0.0.1:9090",
            "users=10.0.0.1,10.0.0.1:9090",
            "users=10.0.0.1:0,10.0.0.1:9090",
            "users=10.0.0.1:8080 check,10.0.0.1:9090",
            "users=10.0.0.1:8080,10.0.0.1:9090\nbind :1",
        ] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }
}
