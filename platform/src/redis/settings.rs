//! Where Redis is, and how long anybody waits for it.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo};
use serde::Deserialize;

/// Settings of Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where it is; empty for none.
    pub url: RedisUrl,
    /// A file with PEM certificates of authorities: with `rediss`, only these are trusted. Empty: the public ones.
    pub ca_file: String,
    /// What all keys and channels begin with: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub key_prefix: String,
    /// How long one command may take, in milliseconds: 10 to 5000. A connection that was slower is given up.
    pub deadline_ms: u64,
    /// How long making a connection may take, in milliseconds: 50 to 30000.
    pub connect_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: RedisUrl::default(),
            ca_file: String::new(),
            key_prefix: "doorward".to_owned(),
            deadline_ms: 250,
            connect_timeout_ms: 2_000,
        }
    }
}

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = self.url.target() {
            problems.push(problem);
        }
        if !(10..=5_000).contains(&self.deadline_ms) {
            problems.push("redis.deadline_ms must be from 10 to 5000.".to_owned());
        }
        if !(50..=30_000).contains(&self.connect_timeout_ms) {
            problems.push("redis.connect_timeout_ms must be from 50 to 30000.".to_owned());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&self.key_prefix.len()) || !self.key_prefix.bytes().all(plain) {
            problems
                .push("redis.key_prefix must be 1 to 64 letters, digits, `-`, `_` or `.`: set it to a name such as `doorward`.".to_owned());
        }
        problems
    }

    pub(super) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

/// Where Redis is. It may hold a password, so it prints only its scheme.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it names; none when it is empty. An error is a sentence without the password.
    pub(super) fn target(&self) -> Result<Option<Target>, String> {
        const SHAPES: &str = "`redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER]`, \
                              `redis+sentinel://[USER:PASSWORD@]HOST:PORT,…/NAME` or \
                              `redis+cluster://[USER:PASSWORD@]HOST:PORT,…`, with `rediss` in place of `redis` for TLS";
        if self.0.is_empty() {
            return Ok(None);
        }
        let refused = || Err(format!("redis.url names no Redis: set it to {SHAPES}."));
        let Some((scheme, rest)) = self.0.split_once("://") else { return refused() };
        let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", kind) => (false, kind),
            ("rediss", kind) => (true, kind),
            _ => return refused(),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let plain = if tls { "rediss" } else { "redis" };
        let node = |host: &str| {
            let user = user.map(|user| format!("{user}@")).unwrap_or_default();
            format!("{plain}://{user}{host}").into_connection_info().ok()
        };
        let Some(nodes) = hosts.split(',').map(node).collect::<Option<Vec<_>>>() else { return refused() };
        match (kind, nodes.as_slice(), path) {
            ("", [node], "") => Ok(Some(Target::One(Box::new(node.clone())))),
            ("", [node], number) => match number.parse() {
                Ok(number) => {
                    let chosen = node.redis_settings().clone().set_db(number);
                    Ok(Some(Target::One(Box::new(node.clone().set_redis_settings(chosen)))))
                }
                Err(_) => refused(),
            },
            ("sentinel", [_, ..], name) if !name.is_empty() && !name.contains('/') => {
                Ok(Some(Target::Sentinel { nodes, name: name.to_owned(), tls }))
            }
            ("cluster", [_, ..], "") => Ok(Some(Target::Cluster { nodes })),
            _ => refused(),
        }
    }
}

impl From<&str> for RedisUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split_once("://").map_or("", |(scheme, _)| scheme);
        write!(f, "{}", if self.0.is_empty() { "none" } else { scheme })
    }
}

/// What a url names.
#[derive(Clone)]
pub(super) enum Target {
    One(Box<ConnectionInfo>),
    Sentinel { nodes: Vec<ConnectionInfo>, name: String, tls: bool },
    Cluster { nodes: Vec<ConnectionInfo> },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(url: &str) -> Vec<String> {
        Settings { url: url.into(), ..Settings::default() }.problems()
    }

    #[test]
    fn every_way_to_name_a_redis_is_taken() {
        for url in [
            "",
            "redis://localhost",
            "redis://:word@localhost:6380/3",
            "rediss://me:w%40rd@cache.example.org",
            "redis+sentinel://me:word@a:26379,b:26379/main",
            "rediss+sentinel://a:26379/main",
            "redis+cluster://a:7000,b:7000,c",
            "rediss+cluster://:word@a:7000",
        ] {
            assert_eq!(problems(url), Vec::<String>::new(), "{url}");
        }
    }

    #[test]
    fn what_names_no_redis_is_refused_with_a_sentence_and_without_the_password() {
        for url in [
            "localhost:6379",
            "http://localhost",
            "redis://:hunter2@a,b",
            "redis://:hunter2@localhost/name",
            "redis+sentinel://:hunter2@a:26379",
            "redis+cluster://:hunter2@a/1",
            "redis+proxy://a",
        ] {
            let told = problems(url);
            assert!(told.len() == 1 && told[0].contains("redis.url"), "{url}: {told:?}");
            assert!(!told[0].contains("hunter2"), "{told:?}");
        }
        let shown = format!("{:?}", RedisUrl::from("redis://:hunter2@localhost"));
        assert!(!shown.contains("hunter2") && !shown.contains("localhost"), "{shown}");
    }

    #[test]
    fn a_password_is_what_it_was_before_it_was_put_into_a_url() {
        let Ok(Some(Target::One(info))) = RedisUrl::from("redis://me:w%40rd@h:1/2").target() else {
            panic!()
        };
        let chosen = info.redis_settings();
        assert_eq!((chosen.username(), chosen.password(), chosen.db()), (Some("me"), Some("w@rd"), 2));
    }

    #[test]
    fn numbers_out_of_range_and_odd_prefixes_are_refused() {
        let odd = Settings {
            deadline_ms: 0,
            connect_timeout_ms: 1,
            key_prefix: "a:b".into(),
            ..Settings::default()
        };
        assert_eq!(odd.problems().len(), 3);
    }
}
