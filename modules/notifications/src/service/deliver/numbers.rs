//! The numbers an operator watches here: their names and what they mean.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Tries that ended, by channel and outcome.
pub(super) const TRIES: &str = "doorward_notifications_total";
/// Messages that are left to send, over all processes.
pub(super) const QUEUE_LENGTH: &str = "doorward_notification_queue_length";
/// How long a try took, by channel.
pub(super) const SECONDS: &str = "doorward_notification_send_seconds";

/// Tells the recorder what the numbers mean; without a recorder nothing happens.
pub(in crate::service) fn describe() {
    describe_counter!(TRIES, "Tries to send a message, by channel and outcome.");
    describe_gauge!(QUEUE_LENGTH, "Messages left to send, over all processes.");
    describe_histogram!(SECONDS, Unit::Seconds, "How long a try to send a message took, by channel.");
}
