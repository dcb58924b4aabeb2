//! Deciding several questions at once, all from the same state of things, and telling why.

use crate::error::Error;
use crate::model::{self, Change, Decision, Effective, Holder, Own, Policy, Step};
use crate::service::Service;
use crate::service::evaluate::{is_oneself, question};
use contracts::permissions::Evaluate;
use contracts::{Caller, Time};
use std::collections::HashMap;
use std::sync::Arc;

/// How often a batch is begun anew when something changes while it is being read.
const ATTEMPTS: usize = 4;

/// When to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Semantic {
    /// Never: every question is answered.
    #[default]
    ExecuteAll,
    /// After the first refusal or failure.
    DenyOnFirstDeny,
    /// After the first yes.
    PermitOnFirstPermit,
}

/// What became of one question.
pub(crate) struct Answer {
    /// The decision; an error when the question can't be read or may not be asked.
    pub(crate) decision: Result<Decision, contracts::Error>,
    /// Why, when that was asked for.
    pub(crate) explanation: Option<Explanation>,
}

/// Why it was decided so.
pub(crate) struct Explanation {
    /// What it was decided from.
    pub(crate) policy: Arc<Policy>,
    /// The shortest way to a yes.
    pub(crate) proof: Option<Vec<Step>>,
    /// What would turn a refusal into a yes; none when the caller may not know.
    pub(crate) changes: Option<Vec<Change>>,
}

/// The state of things that all questions of a batch are decided from.
struct Scene {
    policy: Arc<Policy>,
    known: HashMap<Holder, (Arc<Own>, Effective)>,
    now: Time,
}

impl Service {
    /// Decides and explains one question.
    ///
    /// # Errors
    /// As for a batch, and those that a batch tells of the question.
    pub(crate) async fn explain(&self, caller: &Caller, ask: Evaluate) -> Result<Answer, Error> {
        let answers = self.evaluate_all(caller, vec![Ok(ask)], Semantic::ExecuteAll, true).await?;
        let answer = answers.into_iter().next().ok_or(Error::Denied)?;
        match answer.decision {
            Err(error) => Err(error.into()),
            Ok(_) => Ok(answer),
        }
    }

    /// Decides all questions in their order, as the caller may ask them: about himself, and about others with the
    /// right to. A question that could not be read is handed on as the error that it is.
    pub(crate) async fn evaluate_all(
        &self,
        caller: &Caller,
        asks: Vec<Result<Evaluate, contracts::Error>>,
        semantic: Semantic,
        explain: bool,
    ) -> Result<Vec<Answer>, Error> {
        let others = asks.iter().flatten().any(|ask| !is_oneself(caller, &ask.subject));
        let trusted = (others || explain) && self.has_right(caller, "permissions", "evaluate").await?;
        let may_ask = |ask: Evaluate| {
            let allowed = trusted || is_oneself(caller, &ask.subject);
            if allowed { Ok(ask) } else { Err(Error::Denied.into()) }
        };
        let asks: Vec<Result<Evaluate, contracts::Error>> =
            asks.into_iter().map(|ask| ask.and_then(may_ask)).collect();
        let scene = self.scene(&asks).await?;
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            let answer = self.answer(&scene, ask, explain, trusted);
            let allowed = matches!(answer.decision, Ok(Decision::Allowed(_)));
            answers.push(answer);
            match semantic {
                Semantic::DenyOnFirstDeny if !allowed => break,
                Semantic::PermitOnFirstPermit if allowed => break,
                _ => {}
            }
        }
        Ok(answers)
    }

    fn answer(
        &self,
        scene: &Scene,
        ask: Result<Evaluate, contracts::Error>,
        explain: bool,
        trusted: bool,
    ) -> Answer {
        let ask = match ask {
            Ok(ask) => ask,
            Err(error) => return Answer { decision: Err(error), explanation: None },
        };
        let known = Holder::find(&ask.subject).and_then(|holder| Some((holder, scene.known.get(&holder)?)));
        let policy = Arc::clone(&scene.policy);
        let Some((holder, (own, effective))) = known else {
            self.meter.count(&Decision::Refused);
            let changes = trusted.then(Vec::new);
            let explanation = explain.then_some(Explanation { policy, proof: None, changes });
            return Answer { decision: Ok(Decision::Refused), explanation };
        };
        let question = question(holder, &ask);
        let decision = effective.decide(question);
        self.meter.count(&decision);
        let explanation = explain.then(|| {
            let proof = model::proof(&policy, holder, own, question, scene.now);
            let changes = || model::changes(&policy, holder, own, question, scene.now);
            let changes = (trusted && proof.is_none()).then(changes);
            Explanation { proof, changes, policy: Arc::clone(&policy) }
        });
        Answer { decision: Ok(decision), explanation }
    }

    /// Reads what the questions are about. The subjects are read one after the other, so what was read is only used
    /// when nothing changed in between; after some attempts, the last one is.
    async fn scene(&self, asks: &[Result<Evaluate, contracts::Error>]) -> Result<Scene, Error> {
        let mut attempt = 1;
        loop {
            let moment = self.memory.moment();
            let scene = self.read_scene(asks).await?;
            if scene.known.len() <= 1 || attempt == ATTEMPTS || self.memory.is_still(moment) {
                return Ok(scene);
            }
            attempt += 1;
        }
    }

    async fn read_scene(&self, asks: &[Result<Evaluate, contracts::Error>]) -> Result<Scene, Error> {
        let now = self.clock.now();
        let policy = self.memory.policy(&self.db).await?;
        let mut known = HashMap::new();
        for holder in asks.iter().flatten().filter_map(|ask| Holder::find(&ask.subject)) {
            if known.contains_key(&holder) {
                continue;
            }
            let own = match holder {
                Holder::User(user) => self.memory.own(&self.db, user).await?,
                Holder::Group(group) => Arc::new(Own::group(group)),
            };
            let effective = Effective::new(&policy, &own, now);
            known.insert(holder, (own, effective));
        }
        Ok(Scene { policy, known, now })
    }
}
