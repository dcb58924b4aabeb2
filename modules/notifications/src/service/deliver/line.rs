//! A channel's providers, asked in order until one takes the letter.
//!
//! Each has a deadline of its own, so that a provider that says nothing costs seconds. What a provider refuses for good
//! is refused: asking the next one would only hide it. A provider that took a letter and whose answer got lost is asked
//! as if it had not: at least once, with the same id for whoever counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

use super::breaker::Breaker;
use super::{Channel, numbers};
use crate::model::{Failure, FailureKind, Letter, Medium, Reason, Taken};
use crate::settings::Settings;

/// The names of providers, in order.
pub(crate) const NAMES: [&str; 2] = ["primary", "fallback"];

struct Provider {
    name: &'static str,
    channel: Arc<dyn Channel>,
    breaker: Breaker,
    /// In millionths, for each part of a message.
    cost: u64,
}

/// A channel's providers.
pub(crate) struct Line {
    medium: Medium,
    providers: Vec<Provider>,
    patience: Duration,
}

impl Line {
    /// With these providers, the first one first, each with what a part of a message costs there.
    pub(in crate::service) fn new(
        medium: Medium,
        channels: Vec<(Arc<dyn Channel>, u64)>,
        settings: &Settings,
    ) -> Self {
        let patience = Duration::from_millis(settings.provider_timeout_ms);
        let provider = |(name, (channel, cost))| Provider {
            name,
            channel,
            breaker: Breaker::new(&settings.circuit, patience),
            cost,
        };
        let providers = NAMES.into_iter().zip(channels).map(provider).collect();
        Self { medium, providers, patience }
    }

    /// Whether there is nobody who could take anything.
    pub(in crate::service) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Hands the letter to the first provider that takes it.
    pub(super) async fn send(&self, letter: &Letter) -> Result<Taken, Failure> {
        let mut failed: Vec<(&'static str, Failure)> = Vec::new();
        for provider in &self.providers {
            if !provider.breaker.admit(Instant::now()) {
                continue;
            }
            match self.ask(provider, letter).await {
                Ok(taken) => return Ok(taken),
                Err(failure) if failure.kind == FailureKind::Temporary => {
                    failed.push((provider.name, failure));
                }
                Err(failure) => return Err(Failure { provider: Some(provider.name), ..failure }),
            }
        }
        Err(joined(failed))
    }

    async fn ask(&self, provider: &Provider, letter: &Letter) -> Result<Taken, Failure> {
        let started = Instant::now();
        let silent =
            || Failure::unavailable(format!("It did not answer within {} ms.", self.patience.as_millis()));
        let asked = tokio::time::timeout(self.patience, provider.channel.send(letter)).await;
        let answer = asked.unwrap_or_else(|_| Err(silent()));
        let (channel, name) = (self.medium.as_str(), provider.name);
        match &answer {
            Err(failure) if failure.of_provider => provider.breaker.failed(Instant::now()),
            _ => provider.breaker.succeeded(),
        }
        let outcome = match &answer {
            Ok(_) => "taken",
            Err(failure) if failure.of_provider => "unavailable",
            Err(failure) if failure.kind == FailureKind::Temporary => "put_off",
            Err(_) => "refused",
        };
        counter!(numbers::PROVIDER, "channel" => channel, "provider" => name, "outcome" => outcome)
            .increment(1);
        histogram!(numbers::PROVIDER_SECONDS, "channel" => channel, "provider" => name)
            .record(started.elapsed());
        let reference = answer?;
        let segments = u64::from(letter.segments);
        counter!(numbers::SEGMENTS, "channel" => channel, "provider" => name).increment(segments);
        counter!(numbers::COST, "channel" => channel, "provider" => name)
            .increment(segments.saturating_mul(provider.cost));
        Ok(Taken { provider: Some(name), reference })
    }

    /// Tells the metrics which circuits are open.
    pub(super) fn measure(&self) {
        let (now, channel) = (Instant::now(), self.medium.as_str());
        for provider in &self.providers {
            gauge!(numbers::CIRCUIT, "channel" => channel, "provider" => provider.name)
                .set(provider.breaker.state(now).number());
        }
    }
}

/// What all of them said together.
fn joined(mut failed: Vec<(&'static str, Failure)>) -> Failure {
    if failed.len() == 1
        && let Some((name, failure)) = failed.pop()
    {
        return Failure { provider: Some(name), ..failure };
    }
    let Some((name, last)) = failed.last() else {
        let told = "Every provider of this channel failed too often and is left alone for a while.";
        return Failure::temporary(Reason::CircuitOpen, told);
    };
    let said: Vec<String> =
        failed.iter().map(|(name, failure)| format!("{name}: {}", failure.text)).collect();
    Failure { provider: Some(name), text: said.join(" "), ..last.clone() }
}
