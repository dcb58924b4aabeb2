//! Changing the key that signs: from time to time, and at once when somebody else may have it.
//!
//! In time, nobody is refused: the new key is published for longer than anybody keeps an old set before it signs, and
//! the old one is believed until the last token it signed is over. Of several processes that want to do it at once, the
//! sequence lets one. In haste, every older key is forgotten at once, and whoever has a token of it gets a new one with
//! the refresh token.

use std::time::Duration;

use contracts::{Caller, Error as Shared, Time};
use platform::audit::{self, Entry, Outcome};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::error::Error;
use crate::store::signing_keys;

/// How often the keys are read anew: after so long, every process refuses tokens of a key that was withdrawn.
const EVERY: Duration = Duration::from_secs(1);

/// What clocks and slow networks are granted, before a new key signs and before an old one retires.
const SLACK: Duration = Duration::from_secs(60);

/// Why the key is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The newest one, with this sequence, has been in use for long enough.
    Age(i64),
    /// Somebody said so.
    Command,
    /// Somebody said that others may have the old ones.
    Compromised,
    /// None of the keys up to this sequence is of the algorithm in use.
    Algorithm(i64),
}

/// The key that was made, and what becomes of the ones before.
#[derive(Clone, Debug)]
pub struct RotatedKeys {
    /// The new key's id.
    pub kid: String,
    /// From when on it signs.
    pub signs_from: Time,
    /// From when on the older ones are not believed any more.
    pub retired_at: Time,
}

impl Service {
    /// Makes a new key to sign with and retires the others: in time, or at once when they are compromised. Other
    /// processes know of it within seconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_keys(&self, caller: &Caller, compromised: bool) -> Result<RotatedKeys, Shared> {
        let why = if compromised { Why::Compromised } else { Why::Command };
        loop {
            if let Some(rotated) = self.rotate(caller, why).await? {
                return Ok(rotated);
            }
        }
    }

    /// None when another process made the next key meanwhile.
    async fn rotate(&self, caller: &Caller, why: Why) -> Result<Option<RotatedKeys>, Error> {
        let now = self.now();
        let tokens = &self.settings.tokens;
        // From here on everybody has read the new key.
        let settled = now.plus(tokens.jwks_max_age()).plus(SLACK);
        let (signs_from, retired_at) = match why {
            Why::Compromised => (now, now),
            // Nothing else can sign here, so it signs at once; other processes may go on with the old ones for a while.
            Why::Algorithm(_) => (now, settled.plus(tokens.access()).plus(SLACK)),
            Why::Age(_) | Why::Command => (settled, settled.plus(tokens.access()).plus(SLACK)),
        };
        let rotated = self
            .db
            .transaction(async |tx| {
                let last = signing_keys::last_sequence(tx).await?;
                let row = self.keys.make(last.saturating_add(1), now, signs_from)?;
                let is_known = !matches!(why, Why::Age(known) | Why::Algorithm(known) if known != last);
                if !is_known || !signing_keys::insert(tx, &row).await? {
                    return Ok(None);
                }
                if why == Why::Compromised {
                    signing_keys::withdraw(tx, row.sequence, now).await?;
                    // Those that have retired here may not have elsewhere, where the clock is behind.
                    signing_keys::wipe(tx, now).await?;
                } else {
                    signing_keys::retire(tx, row.sequence, retired_at).await?;
                }
                let after = json!({ "signs_from": signs_from, "others_retire_at": retired_at });
                let entry = Entry {
                    action: "auth.signing_key.rotated",
                    outcome: Outcome::Succeeded,
                    subject_type: "signing_key",
                    subject_id: row.kid.clone(),
                    before: None,
                    after: Some(after),
                };
                audit::record(tx, now, caller, entry).await?;
                Ok::<_, Error>(Some(RotatedKeys { kid: row.kid, signs_from, retired_at }))
            })
            .await?;
        self.keys.refresh(&self.db, now).await?;
        if let Some(rotated) = &rotated {
            let word = match why {
                Why::Age(_) => "age",
                Why::Command => "command",
                Why::Compromised => "compromised",
                Why::Algorithm(_) => "algorithm",
            };
            metrics::counter!("doorward_signing_key_rotations_total", "why" => word).increment(1);
            tracing::info!(kid = rotated.kid, signs_from = %rotated.signs_from, "made a new signing key");
        }
        Ok(rotated)
    }

    /// Makes a key of the algorithm in use when the others are all of another one, and retires those.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn follow_algorithm(&self) -> Result<(), Error> {
        while self.keys.latest().is_none() {
            let last = signing_keys::last_sequence(&mut *self.db.read().await?).await?;
            self.keys.refresh(&self.db, self.now()).await?;
            if self.keys.latest().is_none() {
                self.rotate(&Caller::module("auth"), Why::Algorithm(last)).await?;
            }
        }
        Ok(())
    }

    /// Reads the keys anew and changes the one that is old enough, again and again until it is told to stop.
    pub(super) async fn tend_keys(&self, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.tend_keys_once().await {
                let error = Shared::from(error);
                tracing::warn!(code = %error.code, "the signing keys have to wait");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn tend_keys_once(&self) -> Result<(), Error> {
        let now = self.now();
        self.keys.refresh(&self.db, now).await?;
        // A process with another setting may have retired the keys of this one's algorithm.
        self.follow_algorithm().await?;
        let Some(latest) = self.keys.latest() else { return Ok(()) };
        let age = now.since(latest.created_at);
        metrics::gauge!("doorward_signing_key_age_seconds").set(age.as_secs_f64());
        let rotates = self.settings.tokens.rotation();
        if rotates.is_some_and(|after| age >= after) {
            self.rotate(&Caller::module("auth"), Why::Age(latest.sequence)).await?;
        }
        Ok(())
    }
}
