//! The address of a broker: one url, which may name several nodes of a cluster.

use lapin::uri::{AMQPScheme, AMQPUri};

/// What a url must look like; never with a part of the one that was given, which holds a password.
const WRONG: &str = "rabbitmq.url must be `amqps://USER:PASSWORD@HOST/VHOST` (or `amqp://` without encryption), with \
                     several nodes of a cluster separated by commas; special characters are written as %XX, the \
                     virtual host `/` as %2F, and there is nothing behind the virtual host.";

/// Where the nodes of one broker are, with how to log in. Never empty, and never printed.
#[derive(Clone)]
pub struct Addresses(Vec<AMQPUri>);

impl Addresses {
    /// Reads a url.
    ///
    /// # Errors
    /// A sentence for the operator, without any part of the url.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or(WRONG)?;
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(it, path)| (it, Some(path)));
        let (login, hosts) =
            authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
        if path.is_some_and(|path| path.contains(['/', '?', '#'])) {
            return Err(WRONG);
        }
        let at = if login.is_empty() { "" } else { "@" };
        let path = path.map_or_else(String::new, |path| format!("/{path}"));
        let one = |host: &str| -> Result<AMQPUri, &'static str> {
            let uri: AMQPUri = format!("{scheme}://{login}{at}{host}{path}").parse().map_err(|_| WRONG)?;
            if host.is_empty() || uri.authority.host.is_empty() { Err(WRONG) } else { Ok(uri) }
        };
        Ok(Self(hosts.split(',').map(one).collect::<Result<_, _>>()?))
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn encrypted(&self) -> bool {
        self.0.iter().any(|uri| uri.scheme == AMQPScheme::AMQPS)
    }

    /// The one to try at this attempt, in turns.
    pub(super) fn at(&self, attempt: usize) -> Option<&AMQPUri> {
        self.0.get(attempt.checked_rem(self.0.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16, String)> {
        let Addresses(all) = Addresses::parse(url).unwrap();
        all.into_iter().map(|it| (it.authority.host, it.authority.port, it.vhost)).collect()
    }

    #[test]
    fn a_url_may_name_several_nodes() {
        let one = |host: &str, port, vhost: &str| (host.to_owned(), port, vhost.to_owned());
        assert_eq!(hosts("amqp://u:p@h"), [one("h", 5672, "/")]);
        assert_eq!(hosts("amqps://u:p%2F@a,b:1/v%2Fw"), [one("a", 5671, "v/w"), one("b", 1, "v/w")]);
        let all = Addresses::parse("amqp://a,b").unwrap();
        let tried: Vec<_> = (0..3).map(|attempt| all.at(attempt).unwrap().authority.host.clone()).collect();
        assert_eq!(tried, ["a", "b", "a"]);
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for url in [
            "",
            "h",
            "http://u:hunter2@h",
            "amqp://u:hunter2@",
            "amqp://u:hunter2@a,",
            "amqp://h/v/w",
            "amqp://h/v?x=1",
        ] {
            let told = Addresses::parse(url).err().unwrap();
            assert!(told.starts_with("rabbitmq.url") && !told.contains("hunter2"), "{url}");
        }
    }
}
