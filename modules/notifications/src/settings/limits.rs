//! How many messages somebody gets in an hour, so that nobody can be flooded, and nobody's money be spent, through us.
//!
//! Each number is a bucket of so many at once that fills up again within an hour. What is over is suppressed, visibly.

use std::time::Duration;

use platform::limits::Limit;
use serde::Deserialize;

/// Messages an hour: section `notifications.limits`. Each from 1 to 1000000.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Mails to one person, and to one address.
    pub email: u32,
    /// The same for mails about security, which have buckets of their own.
    pub email_security: u32,
    /// Short messages to one person, and to one number.
    pub sms: u32,
    /// The same for short messages about security.
    pub sms_security: u32,
    /// Short messages to the thousand numbers that differ in their last three digits only.
    pub sms_range: u32,
    /// Short messages to one calling code.
    pub sms_country: u32,
    /// Parts of short messages to everybody, whatever they are about.
    pub sms_segments: u32,
    /// Things that come into one person's inbox.
    pub inbox: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            email: 100,
            email_security: 300,
            sms: 5,
            sms_security: 15,
            sms_range: 50,
            sms_country: 500,
            sms_segments: 2_000,
            inbox: 500,
        }
    }
}

impl Limits {
    pub(super) fn problems(&self) -> Vec<String> {
        let all = [
            ("email", self.email),
            ("email_security", self.email_security),
            ("sms", self.sms),
            ("sms_security", self.sms_security),
            ("sms_range", self.sms_range),
            ("sms_country", self.sms_country),
            ("sms_segments", self.sms_segments),
            ("inbox", self.inbox),
        ];
        let wrong = all.into_iter().filter(|(_, number)| !(1..=1_000_000).contains(number));
        let mut problems: Vec<String> = wrong
            .map(|(name, _)| format!("notifications.limits.{name} must be from 1 to 1000000."))
            .collect();
        if self.email_security < self.email || self.sms_security < self.sms {
            problems.push(
                "notifications.limits: what is about security must not be limited more than the rest."
                    .to_owned(),
            );
        }
        problems
    }
}

/// So many an hour.
pub(crate) fn hourly(capacity: u32) -> Limit {
    Limit { capacity, window: Duration::from_secs(3_600) }
}
