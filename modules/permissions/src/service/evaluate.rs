//! Deciding: may this subject do this action on this resource, now?

use crate::error::Error;
use crate::model::{Decision, Question, Reason, decide};
use crate::service::Service;
use contracts::permissions::{Evaluate, Subject};
use contracts::{Caller, UserId};
use metrics::{counter, histogram};
use serde_json::Value;
use std::time::Instant;

/// The one type of subject that may hold roles.
const USER: &str = "user";

/// The property of a resource that says whose it is.
const OWNER: &str = "owner";

impl Service {
    /// Decides, whoever asks. Whoever is not known is refused; only a database that doesn't answer is an error.
    pub(crate) async fn evaluate(&self, ask: &Evaluate) -> Result<Decision, Error> {
        let begun = Instant::now();
        let decision = match user(&ask.subject) {
            Some(subject) => self.evaluate_user(subject, ask).await?,
            None => Decision::Refused,
        };
        let word = if decision == Decision::Refused { "deny" } else { "allow" };
        counter!("doorward_decisions_total", "decision" => word).increment(1);
        histogram!("doorward_decision_seconds").record(begun.elapsed().as_secs_f64());
        Ok(decision)
    }

    /// Decides for somebody who asks about himself, or who may ask about others.
    pub(crate) async fn evaluate_for(&self, caller: &Caller, ask: &Evaluate) -> Result<Decision, Error> {
        let oneself = caller.user().is_some() && user(&ask.subject) == caller.user();
        if !oneself {
            self.require(caller, "permissions", "evaluate").await?;
        }
        self.evaluate(ask).await
    }

    /// Passes when the caller may do the action on the whole resource type.
    pub(crate) async fn require(&self, caller: &Caller, resource: &str, action: &str) -> Result<(), Error> {
        let asker = caller.user().ok_or(Error::Denied)?;
        let ask = Evaluate {
            subject: Subject::user(asker),
            action: action.to_owned(),
            resource_type: resource.to_owned(),
            resource_id: None,
            resource_properties: serde_json::Map::new(),
        };
        match self.evaluate(&ask).await? {
            Decision::Allowed(_) => Ok(()),
            Decision::Refused => Err(Error::Denied),
        }
    }

    async fn evaluate_user(&self, subject: UserId, ask: &Evaluate) -> Result<Decision, Error> {
        let graph = self.roles.graph(&self.db).await?;
        let held = self.held.of(&self.db, subject).await?;
        let owner = ask.resource_properties.get(OWNER).and_then(Value::as_str);
        let (kind, id) = (ask.resource_type.as_str(), ask.resource_id.as_deref());
        let question = Question::new(subject, &ask.action, kind, id, owner);
        Ok(decide(&graph, &held, question, self.clock.now()))
    }
}

fn user(subject: &Subject) -> Option<UserId> {
    (subject.subject_type == USER).then(|| subject.id.parse().ok()).flatten()
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
