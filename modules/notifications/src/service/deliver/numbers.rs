//! The numbers an operator watches here: their names and what they mean.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Tries that ended, by channel and outcome.
pub(super) const TRIES: &str = "doorward_notifications_total";
/// Messages that are left to send, over all processes.
pub(super) const QUEUE_LENGTH: &str = "doorward_notification_queue_length";
/// How long a try took, by channel.
pub(super) const SECONDS: &str = "doorward_notification_send_seconds";
/// Messages that were held back, by channel and reason.
pub(super) const SUPPRESSED: &str = "doorward_notifications_suppressed_total";
/// What a provider answered, by channel, provider and outcome.
pub(super) const PROVIDER: &str = "doorward_provider_answers_total";
/// How long a provider took, by channel and provider.
pub(super) const PROVIDER_SECONDS: &str = "doorward_provider_seconds";
/// Whether a provider is left alone, by channel and provider.
pub(super) const CIRCUIT: &str = "doorward_provider_circuit";
/// Parts that a provider took, by channel and provider.
pub(super) const SEGMENTS: &str = "doorward_provider_segments_total";
/// What they cost, in millionths, by channel and provider.
pub(super) const COST: &str = "doorward_provider_cost_micros_total";
/// What receipts said, by provider and outcome.
pub(in crate::service) const RECEIPTS: &str = "doorward_provider_receipts_total";
/// Streams of inboxes that are open.
pub(in crate::service) const STREAMS: &str = "doorward_inbox_streams";

/// Tells the recorder what the numbers mean; without a recorder nothing happens.
pub(in crate::service) fn describe() {
    describe_counter!(TRIES, "Tries to send a message, by channel and outcome.");
    describe_gauge!(QUEUE_LENGTH, "Messages left to send, over all processes.");
    describe_histogram!(SECONDS, Unit::Seconds, "How long a try to send a message took, by channel.");
    describe_counter!(SUPPRESSED, "Messages that were held back, by channel and reason.");
    describe_counter!(PROVIDER, "Answers of providers, by channel, provider and outcome.");
    describe_histogram!(
        PROVIDER_SECONDS,
        Unit::Seconds,
        "How long a provider took, by channel and provider."
    );
    describe_gauge!(CIRCUIT, "Whether a provider is used: 0 yes, 1 one message tries, 2 no.");
    describe_counter!(SEGMENTS, "Parts of messages that a provider took; a mail has none.");
    describe_counter!(COST, "What parts of messages cost, in millionths of what the settings count in.");
    describe_counter!(RECEIPTS, "Receipts of providers, by provider and outcome.");
    describe_gauge!(STREAMS, "Streams of inboxes that this process keeps open.");
}
