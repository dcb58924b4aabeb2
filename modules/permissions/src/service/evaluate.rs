//! Deciding: may this subject do this action on this resource, now?

use crate::error::Error;
use crate::model::{Decision, Effective, Holder, Own, Question, Reason};
use crate::service::Service;
use contracts::permissions::{Evaluate, Subject};
use contracts::{Caller, Time};
use metrics::{Counter, Histogram, counter, histogram};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The property of a resource that says whose it is.
const OWNER: &str = "owner";

/// One decision in so many is timed: looking at the clock twice costs more than most decisions.
const TIMED_ONE_IN: u64 = 64;

/// Counts decisions. The counters are looked up once, when this is made: install the recorder before.
pub(super) struct Meter {
    allowed: Counter,
    refused: Counter,
    seconds: Histogram,
    begun: AtomicU64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            allowed: counter!("doorward_decisions_total", "decision" => "allow"),
            refused: counter!("doorward_decisions_total", "decision" => "deny"),
            seconds: histogram!("doorward_decision_seconds"),
            begun: AtomicU64::new(0),
        }
    }

    fn begin(&self) -> Option<Instant> {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        begun.is_multiple_of(TIMED_ONE_IN).then(Instant::now)
    }

    fn end(&self, begun: Option<Instant>, decision: &Decision) {
        self.count(decision);
        if let Some(begun) = begun {
            self.seconds.record(begun.elapsed().as_secs_f64());
        }
    }

    pub(super) fn count(&self, decision: &Decision) {
        match decision {
            Decision::Allowed(_) => self.allowed.increment(1),
            Decision::Refused => self.refused.increment(1),
        }
    }
}

impl Service {
    /// Decides, whoever asks. Whoever is not known is refused; only a database that doesn't answer is an error.
    pub(crate) async fn evaluate(&self, ask: &Evaluate) -> Result<Decision, Error> {
        let begun = self.meter.begin();
        let decision = self.decide(ask, self.clock.now()).await?;
        self.meter.end(begun, &decision);
        Ok(decision)
    }

    /// Decides for somebody who asks about himself, or who may ask about others.
    pub(crate) async fn evaluate_for(&self, caller: &Caller, ask: &Evaluate) -> Result<Decision, Error> {
        if !is_oneself(caller, &ask.subject) {
            self.require(caller, "permissions", "evaluate").await?;
        }
        self.evaluate(ask).await
    }

    /// Passes when the caller may do the action on the whole resource type.
    pub(crate) async fn require(&self, caller: &Caller, resource: &str, action: &str) -> Result<(), Error> {
        if self.has_right(caller, resource, action).await? { Ok(()) } else { Err(Error::Denied) }
    }

    /// Whether the caller may do the action on the whole resource type.
    pub(super) async fn has_right(&self, caller: &Caller, kind: &str, action: &str) -> Result<bool, Error> {
        let asker = caller.user().ok_or(Error::Denied)?;
        let ask = Evaluate {
            subject: Subject::user(asker),
            action: action.to_owned(),
            resource_type: kind.to_owned(),
            resource_id: None,
            resource_properties: serde_json::Map::new(),
        };
        Ok(self.evaluate(&ask).await? != Decision::Refused)
    }

    async fn decide(&self, ask: &Evaluate, now: Time) -> Result<Decision, Error> {
        let Some(holder) = Holder::find(&ask.subject) else { return Ok(Decision::Refused) };
        let question = question(holder, ask);
        let Holder::User(user) = holder else {
            let policy = self.memory.policy(&self.db).await?;
            let own = holder.group().map(Own::group).unwrap_or_default();
            return Ok(Effective::new(&policy, &own, now).decide(question));
        };
        if let Some(decision) = self.memory.recall(user, now, |effective| effective.decide(question)) {
            return Ok(decision);
        }
        Ok(self.memory.effective(&self.db, user, now).await?.decide(question))
    }
}

/// Whether the caller asks about himself.
pub(super) fn is_oneself(caller: &Caller, subject: &Subject) -> bool {
    let user = Holder::find(subject).and_then(Holder::user);
    user.is_some() && user == caller.user()
}

/// What is asked, with ownership worked out.
pub(super) fn question(holder: Holder, ask: &Evaluate) -> Question<'_> {
    let owner = ask.resource_properties.get(OWNER).and_then(Value::as_str);
    Question::new(holder, &ask.action, &ask.resource_type, ask.resource_id.as_deref(), owner)
}

/// Whom the asking side names as the thing's owner.
pub(super) fn owner(ask: &Evaluate) -> Option<&str> {
    ask.resource_properties.get(OWNER).and_then(Value::as_str)
}

impl From<Decision> for contracts::permissions::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Refused => Self { allowed: false, reason: None },
            Decision::Allowed(Reason { role, permission }) => Self {
                allowed: true,
                reason: Some(contracts::permissions::Reason {
                    role: role.to_string(),
                    permission: permission.to_string(),
                }),
            },
        }
    }
}
