//! Counting a message against the limits, once, before its first try: all buckets together or none.
//!
//! What is over is suppressed and not put off: an hour later a code is useless, and a flood would only be spread out. An
//! administrator can send it again. When the buckets can't be read, nothing leaves.

use contracts::PhoneNumber;
use contracts::notifications::Recipient;
use platform::db::{self, DbConn};
use platform::limits::{self, Bucket};

use super::Service;
use super::claim::Claimed;
use crate::model::category::SECURITY;
use crate::model::template::is_own;
use crate::model::{Destination, Failure, Letter, Medium, Message, Reason};
use crate::settings::limits::hourly;
use crate::store::deliveries;

/// One bucket to take from.
struct Take {
    bucket: Bucket,
    capacity: u32,
    times: u32,
    reason: Reason,
    told: &'static str,
}

/// Who speaks: each has buckets of its own, so that nobody's messages hold back those of Doorward.
enum Sender {
    /// Whoever may send.
    Anybody,
    /// Whoever may also say that a message is about security.
    Trusted,
    /// Doorward itself, about somebody's security.
    Doorward,
}

impl Sender {
    fn of(message: &Message) -> Self {
        match message.category.as_str() {
            SECURITY if is_own(&message.template, SECURITY) => Self::Doorward,
            SECURITY => Self::Trusted,
            _ => Self::Anybody,
        }
    }
}

enum Refusal {
    Over(Reason, &'static str),
    Database(db::Error),
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl Service {
    pub(super) async fn admit(&self, claimed: &Claimed, letter: &Letter) -> Result<(), Failure> {
        if claimed.delivery.admitted {
            return Ok(());
        }
        let (now, id, takes) = (self.clock.now(), claimed.delivery.id, self.takes(claimed, letter));
        let work = async |tx: &mut DbConn| {
            if !deliveries::admit(tx, id).await? {
                return Ok(());
            }
            for take in &takes {
                for _ in 0..take.times {
                    let verdict = limits::take(tx, now, &take.bucket, hourly(take.capacity)).await?;
                    if !verdict.allowed {
                        return Err(Refusal::Over(take.reason, take.told));
                    }
                }
            }
            Ok(())
        };
        self.db.transaction(work).await.map_err(|refusal| match refusal {
            Refusal::Over(reason, told) => Failure::suppressed(reason, told),
            Refusal::Database(error) => {
                let told = format!("The limits could not be looked up: {error}.");
                Failure::temporary(Reason::PartUnavailable, told)
            }
        })
    }

    /// From the narrowest to the widest, always in this order, so that no two messages wait for each other.
    fn takes(&self, claimed: &Claimed, letter: &Letter) -> Vec<Take> {
        let limits = &self.settings.limits;
        let message = &claimed.message;
        let (operation, capacity) = match (claimed.delivery.medium, Sender::of(message)) {
            (Medium::Email, Sender::Anybody) => ("notifications.email", limits.email),
            (Medium::Email, Sender::Trusted) => ("notifications.email.security", limits.email_security),
            (Medium::Email, Sender::Doorward) => ("notifications.email.own", limits.email_security),
            (Medium::Sms, Sender::Anybody) => ("notifications.sms", limits.sms),
            (Medium::Sms, Sender::Trusted) => ("notifications.sms.security", limits.sms_security),
            (Medium::Sms, Sender::Doorward) => ("notifications.sms.own", limits.sms_security),
            (Medium::Inbox, Sender::Anybody | Sender::Trusted) => ("notifications.inbox", limits.inbox),
            (Medium::Inbox, Sender::Doorward) => ("notifications.inbox.own", limits.inbox),
        };
        let told = "This receiver got as many messages as the limits allow in an hour.";
        let take = |parts: &[&[u8]]| Take {
            bucket: Bucket::of(operation, parts),
            capacity,
            times: 1,
            reason: Reason::OverLimit,
            told,
        };
        let mut takes = Vec::new();
        if let Some(Recipient::User(user)) = &claimed.message.to {
            takes.push(take(&[b"person", user.uuid().as_bytes()]));
        }
        match &letter.to {
            Destination::Email(_) => takes.push(take(&[b"address", self.address_key(&letter.to).as_bytes()])),
            Destination::Phone(number) => {
                takes.push(take(&[b"address", self.address_key(&letter.to).as_bytes()]));
                takes.extend(self.takes_of_all(number, letter.segments));
            }
            Destination::Person(_) => {}
        }
        takes
    }

    /// What stands between somebody who asks for many messages and the operator's bill.
    fn takes_of_all(&self, number: &PhoneNumber, segments: u32) -> [Take; 3] {
        let limits = &self.settings.limits;
        let range = self.master_key.address_key(number.range());
        [
            Take {
                bucket: Bucket::of("notifications.sms.range", &[range.as_bytes()]),
                capacity: limits.sms_range,
                times: 1,
                reason: Reason::OverLimit,
                told: "Numbers next to this one got as many messages as the limits allow in an hour.",
            },
            Take {
                bucket: Bucket::of("notifications.sms.country", &[number.country_code().as_bytes()]),
                capacity: limits.sms_country,
                times: 1,
                reason: Reason::OverLimit,
                told: "This country got as many messages as the limits allow in an hour.",
            },
            Take {
                bucket: Bucket::of("notifications.sms.segments", &[]),
                capacity: limits.sms_segments,
                times: segments,
                reason: Reason::BudgetSpent,
                told: "The budget of this hour for short messages is spent.",
            },
        ]
    }
}
