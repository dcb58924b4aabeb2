//! The questions the other way round: who may do this here, what may he do this with, what may he do here?

use crate::error::Error;
use crate::model::{self, Actions, Holder, Own, Policy, Question, Resource, Resources, Words};
use crate::service::Service;
use crate::service::evaluate::{is_oneself, owner, question};
use crate::store;
use contracts::permissions::Evaluate;
use contracts::{Caller, GroupId, Time, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The type of thing that users are.
const USER: &str = "user";

impl Service {
    /// The next users who may do it, by id. The question's own subject is not looked at.
    ///
    /// Each role and each group that leads there is asked for its next users by an index of its own; of all that come
    /// back, the first are the page.
    pub(crate) async fn search_users(
        &self,
        caller: &Caller,
        ask: &Evaluate,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>, Error> {
        self.require(caller, "permissions", "evaluate").await?;
        let (policy, now) = (self.memory.policy(&self.db).await?, self.clock.now());
        let question =
            Question { own: false, ..question(Holder::User(UserId::from_uuid(Default::default())), ask) };
        let mut found: BTreeSet<UserId> = owners(&policy, ask, now).into_iter().collect();
        found.retain(|user| after.is_none_or(|after| *user > after));
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let here = question.resource_id.map(|id| {
            let kind = question.resource_type.to_owned();
            Resource { kind, id: id.to_owned() }
        });
        let mut c = self.db.read().await?;
        for role in model::granting_roles(&policy, question) {
            found.extend(store::holders::page(&mut c, &role, None, now, after, most).await?);
            if here.is_some() {
                found.extend(store::holders::page(&mut c, &role, here.as_ref(), now, after, most).await?);
            }
        }
        for group in model::granting_groups(&policy, question, now) {
            found.extend(store::members::users_of(&mut c, group, after, most).await?);
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// The next groups that may do it, by id. The question's own subject is not looked at.
    pub(crate) async fn search_groups(
        &self,
        caller: &Caller,
        ask: &Evaluate,
        after: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<GroupId>, Error> {
        self.require(caller, "permissions", "evaluate").await?;
        let (policy, now) = (self.memory.policy(&self.db).await?, self.clock.now());
        let question =
            Question { own: false, ..question(Holder::User(UserId::from_uuid(Default::default())), ask) };
        let groups = model::granting_groups(&policy, question, now).into_iter();
        Ok(groups.filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect())
    }

    /// All things of the question's type that the subject may do it with, as far as they are known. The question's
    /// own id is not looked at.
    pub(crate) async fn search_resources(&self, caller: &Caller, ask: &Evaluate) -> Result<Resources, Error> {
        let Some((holder, own)) = self.about(caller, ask).await? else { return Ok(Resources::default()) };
        let (policy, now) = (self.memory.policy(&self.db).await?, self.clock.now());
        let itself = holder.user().filter(|_| ask.resource_type == USER).map(|id| id.to_string());
        Ok(model::resources(&policy, &own, question(holder, ask), itself, now))
    }

    /// All that the subject may do with the thing, as far as it has a name. The question's own action is not looked
    /// at. Who may do everything learns no words of roles that are not his: he could not list those either.
    pub(crate) async fn search_actions(&self, caller: &Caller, ask: &Evaluate) -> Result<Actions, Error> {
        let Some((holder, own)) = self.about(caller, ask).await? else { return Ok(Actions::default()) };
        let trusted = self.has_right(caller, "permissions", "evaluate").await?;
        let words = if trusted { Words::All } else { Words::Held };
        let (policy, now) = (self.memory.policy(&self.db).await?, self.clock.now());
        Ok(model::actions(&policy, &own, question(holder, ask), words, now))
    }

    /// Whom it is about, when the caller may ask about him; none when he is nobody who can hold anything.
    async fn about(&self, caller: &Caller, ask: &Evaluate) -> Result<Option<(Holder, Arc<Own>)>, Error> {
        if !is_oneself(caller, &ask.subject) {
            self.require(caller, "permissions", "evaluate").await?;
        }
        Ok(match Holder::find(&ask.subject) {
            Some(Holder::User(user)) => Some((Holder::User(user), self.memory.own(&self.db, user).await?)),
            Some(Holder::Group(group)) => Some((Holder::Group(group), Arc::new(Own::group(group)))),
            None => None,
        })
    }
}

/// Those whose own thing it is and who may do it because of that.
fn owners(policy: &Policy, ask: &Evaluate, now: Time) -> Vec<UserId> {
    let itself = ask.resource_id.as_deref().filter(|_| ask.resource_type == USER);
    let named = [itself, owner(ask)].into_iter().flatten().filter_map(|text| text.parse::<UserId>().ok());
    let may = |user: &UserId| {
        let effective = model::Effective::new(policy, &Own::user(vec![], vec![]), now);
        effective.decide(question(Holder::User(*user), ask)) != model::Decision::Refused
    };
    named.filter(may).collect()
}
