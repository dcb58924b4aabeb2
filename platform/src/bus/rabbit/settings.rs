//! Where RabbitMQ is and how it is used: section `rabbitmq`. A wrong value is a sentence for the operator.

use std::path::PathBuf;

use serde::Deserialize;

use super::address::Addresses;
use crate::settings::Secret;

/// RabbitMQ: section `rabbitmq`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `amqps://USER:PASSWORD@HOST/VHOST`, or `amqp://…` in the clear. Several nodes of a cluster are separated by
    /// commas: `amqps://USER:PASSWORD@HOST1,HOST2:5671/VHOST`. Empty: no broker, events stay within this database.
    pub url: Secret<String>,
    /// What the names of exchanges and queues begin with: letters, digits, `-`, `_` and `.`, at most 64.
    pub prefix: String,
    /// A file with PEM certificates of the authorities to trust instead of the public ones. Empty: the public ones.
    pub ca_file: PathBuf,
    /// How many messages each subscriber's queue hands out before they are acknowledged, 1 to 10000.
    pub prefetch: u16,
    /// How often a message may come back unacknowledged before it goes to the dead letters, 1 to 1000. Counts for
    /// queues that are made from now on.
    pub delivery_limit: u16,
    /// After how many seconds of silence a connection counts as lost, twice over, 1 to 300.
    pub heartbeat_seconds: u16,
    /// How long making a connection may take, in milliseconds, 100 to 60000.
    pub connect_timeout_ms: u64,
    /// How long the broker may take to confirm what it was given, in milliseconds, 100 to 60000; shorter than
    /// `outbox.deadline_ms`.
    pub confirm_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            prefix: "doorward".to_owned(),
            ca_file: PathBuf::new(),
            prefetch: 100,
            delivery_limit: 20,
            heartbeat_seconds: 10,
            connect_timeout_ms: 5_000,
            confirm_timeout_ms: 5_000,
        }
    }
}

impl Settings {
    /// Whether a broker is named.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.url.expose().is_empty()
    }

    /// What is wrong with it, a sentence each; nothing while no broker is named. `outbox_deadline_ms` is
    /// `outbox.deadline_ms`.
    #[must_use]
    pub fn problems(&self, outbox_deadline_ms: u64) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.is_set() {
            return problems;
        }
        if let Err(problem) = Addresses::parse(self.url.expose()) {
            problems.push(problem.to_owned());
        }
        let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(letter) {
            problems.push(
                "rabbitmq.prefix must be 1 to 64 letters, digits, `-`, `_` or `.`, such as \"doorward\"."
                    .to_owned(),
            );
        }
        let mut range = |name: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                problems.push(format!("rabbitmq.{name} must be from {least} to {most}."));
            }
        };
        range("prefetch", u64::from(self.prefetch), 1, 10_000);
        range("delivery_limit", u64::from(self.delivery_limit), 1, 1_000);
        range("heartbeat_seconds", u64::from(self.heartbeat_seconds), 1, 300);
        range("connect_timeout_ms", self.connect_timeout_ms, 100, 60_000);
        range("confirm_timeout_ms", self.confirm_timeout_ms, 100, 60_000);
        if self.confirm_timeout_ms >= outbox_deadline_ms {
            problems.push("rabbitmq.confirm_timeout_ms must be less than outbox.deadline_ms.".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_broker_nothing_is_wrong_and_with_one_everything_wrong_is_told() {
        let wrong = Settings { prefix: "a b".to_owned(), prefetch: 0, ..Settings::default() };
        assert_eq!(wrong.problems(1), Vec::<String>::new());
        let url: Secret<String> = "http://broker".to_owned().into();
        let told = Settings { url, ..wrong }.problems(5_000).join("\n");
        for word in ["rabbitmq.url", "rabbitmq.prefix", "rabbitmq.prefetch", "outbox.deadline_ms"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        let good = Settings { url: "amqp://u:p@h".to_owned().into(), ..Settings::default() };
        assert_eq!(good.problems(10_000), Vec::<String>::new());
        assert!(!format!("{good:?}").contains("amqp"), "the url shows itself");
    }
}
