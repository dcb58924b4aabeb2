//! How messages are written, limited and delivered. Reading files and the environment is the application's.
//!
//! Mail servers and providers of short messages have files of their own below.

pub(crate) mod limits;
mod sms;
mod smtp;

use std::time::Duration;

use serde::Deserialize;

pub use limits::Limits;
pub use sms::{Format, HiddenText, Kind, Sms, SmsProvider};
pub(crate) use smtp::{Relay, Security};
pub use smtp::{Smtp, SmtpUrl};

use crate::model::{category, locale};

/// How messages are written and delivered: section `notifications`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name that messages speak in, at most 60 characters.
    pub product_name: String,
    /// The language for people who have chosen none that there are words for (BCP 47): `en` or `de`.
    pub default_locale: String,
    /// The categories of messages beside `security`: people may switch each of them off. At most 50 words.
    pub categories: Vec<String>,
    /// How many messages one process sends at the same time, 1 to 256. A quarter of the places, at least one unless there
    /// is only one, is kept for what Doorward itself has to say about somebody's security.
    pub concurrency: usize,
    /// How long one try may take, in milliseconds: asking for the address, the link and sending together.
    pub send_timeout_ms: u64,
    /// How long one provider may take for one message, in milliseconds; then the next one is asked.
    pub provider_timeout_ms: u64,
    /// How often to look for messages without being woken, in milliseconds: finds those whose next try has come, and
    /// those of processes that died.
    pub poll_interval_ms: u64,
    /// How often a message is tried before it is parked, at least 1.
    pub max_attempts: u32,
    /// The longest wait after the first failure, in milliseconds.
    pub retry_base_ms: u64,
    /// How much longer each next wait may be, at least 1.
    pub retry_factor: f64,
    /// The longest wait of all, in milliseconds.
    pub retry_max_ms: u64,
    /// After how many hours a message that was not sent is too old to be, 1 to 8760.
    pub expire_hours: u32,
    /// For how many days messages that are over can still be seen, 1 to 3650.
    pub retention_days: u32,
    /// For how many days things stay in an inbox, 1 to 3650.
    pub inbox_days: u32,
    /// For how many days messages stay in the mailbox of development, 1 to 3650.
    pub mailbox_days: u32,
    /// When a provider is left alone.
    pub circuit: Circuit,
    /// How many messages somebody gets.
    pub limits: Limits,
    /// Telling people at once what came into their inbox.
    pub stream: Stream,
    /// Short messages.
    pub sms: Sms,
}

/// When a provider is left alone: section `notifications.circuit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// After how many failures in a row, 1 to 1000.
    pub failures: u32,
    /// For how many seconds, 1 to 3600; then one message tries whether it is back.
    pub open_seconds: u32,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { failures: 5, open_seconds: 30 }
    }
}

/// Streams of inboxes: section `notifications.stream`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stream {
    /// How many one person may have open at one process, 1 to 100.
    pub per_person: usize,
    /// How many one process keeps open, 1 to 100000.
    pub per_process: usize,
    /// After how many silent seconds a comment is sent, 1 to 300.
    pub heartbeat_seconds: u32,
    /// How often to look for what other processes wrote, and whether the login is still good, in milliseconds, 10 to
    /// 60000.
    pub poll_ms: u64,
    /// After how many minutes a stream ends, to be opened anew, 1 to 1440.
    pub max_minutes: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self { per_person: 5, per_process: 1_000, heartbeat_seconds: 15, poll_ms: 3_000, max_minutes: 60 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            product_name: "Doorward".to_owned(),
            default_locale: "en".to_owned(),
            categories: ["account", "general", "marketing", "product_news"].map(str::to_owned).to_vec(),
            concurrency: 8,
            send_timeout_ms: 60_000,
            provider_timeout_ms: 15_000,
            poll_interval_ms: 2_000,
            max_attempts: 12,
            retry_base_ms: 30_000,
            retry_factor: 2.0,
            retry_max_ms: 3_600_000,
            expire_hours: 72,
            retention_days: 90,
            inbox_days: 365,
            mailbox_days: 7,
            circuit: Circuit::default(),
            limits: Limits::default(),
            stream: Stream::default(),
            sms: Sms::default(),
        }
    }
}

impl Settings {
    /// What is wrong with them, a sentence each; nothing when they are fit for use.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, sentence: &str| {
            if !good {
                problems.push(sentence.to_owned());
            }
        };
        let name = self.product_name.trim();
        check(
            !name.is_empty() && name.chars().count() <= 60,
            "notifications.product_name must have 1 to 60 characters.",
        );
        check(locale::is_known(&self.default_locale), "notifications.default_locale must be `en` or `de`.");
        let words = self.categories.iter().all(|it| category::is_word(it) && it != category::SECURITY);
        check(
            words && self.categories.len() <= 50,
            "notifications.categories must be at most 50 words of lower-case letters, digits and underscores; \
             `security` is always there and not named.",
        );
        check((1..=256).contains(&self.concurrency), "notifications.concurrency must be from 1 to 256.");
        check(self.send_timeout_ms > 0, "notifications.send_timeout_ms must be more than 0.");
        check(self.provider_timeout_ms > 0, "notifications.provider_timeout_ms must be more than 0.");
        check(self.poll_interval_ms > 0, "notifications.poll_interval_ms must be more than 0.");
        check(self.max_attempts > 0, "notifications.max_attempts must be at least 1.");
        check(
            self.retry_factor.is_finite() && self.retry_factor >= 1.0,
            "notifications.retry_factor must be at least 1.",
        );
        check((1..=8_760).contains(&self.expire_hours), "notifications.expire_hours must be from 1 to 8760.");
        let days = [
            (self.retention_days, "notifications.retention_days must be from 1 to 3650."),
            (self.inbox_days, "notifications.inbox_days must be from 1 to 3650."),
            (self.mailbox_days, "notifications.mailbox_days must be from 1 to 3650."),
        ];
        for (days, sentence) in days {
            check((1..=3_650).contains(&days), sentence);
        }
        check(
            (1..=1_000).contains(&self.circuit.failures),
            "notifications.circuit.failures must be from 1 to 1000.",
        );
        check(
            (1..=3_600).contains(&self.circuit.open_seconds),
            "notifications.circuit.open_seconds must be from 1 to 3600.",
        );
        let stream = &self.stream;
        check(
            (1..=100).contains(&stream.per_person),
            "notifications.stream.per_person must be from 1 to 100.",
        );
        check(
            (1..=100_000).contains(&stream.per_process),
            "notifications.stream.per_process must be from 1 to 100000.",
        );
        check(
            (1..=300).contains(&stream.heartbeat_seconds),
            "notifications.stream.heartbeat_seconds must be from 1 to 300.",
        );
        check(
            (10..=60_000).contains(&stream.poll_ms),
            "notifications.stream.poll_ms must be from 10 to 60000.",
        );
        check(
            (1..=1_440).contains(&stream.max_minutes),
            "notifications.stream.max_minutes must be from 1 to 1440.",
        );
        problems.extend(self.limits.problems());
        problems.extend(self.sms.problems());
        problems
    }

    pub(crate) fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }

    /// How long a claimed message stays with a worker: the try itself, and as long again to write down how
    /// it went.
    pub(crate) fn lease(&self) -> Duration {
        self.send_timeout().saturating_mul(2)
    }

    /// How many of the messages that one process sends at the same time may be such that are not urgent.
    pub(crate) fn ordinary_places(&self) -> usize {
        let kept = (self.concurrency / 4).max(1);
        self.concurrency.saturating_sub(kept).max(1)
    }

    pub(crate) fn expiry(&self) -> Duration {
        Duration::from_secs(u64::from(self.expire_hours) * 3_600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_fit_for_use() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
        let wrong = Settings {
            concurrency: 0,
            max_attempts: 0,
            retry_factor: f64::NAN,
            default_locale: "fr".to_owned(),
            categories: vec!["security".to_owned()],
            retention_days: 0,
            circuit: Circuit { failures: 0, open_seconds: 0 },
            stream: Stream {
                per_person: 0,
                per_process: 0,
                heartbeat_seconds: 0,
                poll_ms: 0,
                max_minutes: 0,
            },
            ..Settings::default()
        };
        assert_eq!(wrong.problems().len(), 13);
    }

    #[test]
    fn a_quarter_of_the_places_is_kept_for_what_is_urgent() {
        for (concurrency, ordinary) in [(1, 1), (2, 1), (3, 2), (4, 3), (7, 6), (8, 6), (256, 192)] {
            let settings = Settings { concurrency, ..Settings::default() };
            assert_eq!(settings.ordinary_places(), ordinary, "{concurrency}");
        }
    }
}
