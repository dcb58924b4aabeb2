//! Whom somebody may not have at his disposal: those who hold what he does not hold.

use crate::error::Error;
use crate::model::{Held, Holder, Own, Policy, RoleName, missing};
use crate::service::{Service, memory, policy};
use crate::store;
use contracts::permissions::FindOutranking;
use contracts::{Fields, GroupId, Time, UserId};
use platform::db::{self, DbConn};
use std::collections::HashMap;

/// So many people are looked at at once.
const AT_MOST: usize = 1_000;

impl Service {
    /// Those who hold, themselves or through groups, on anything at all, what the actor does not hold everywhere and at
    /// least as long. What everybody holds outranks nobody, and nobody outranks himself.
    ///
    /// Read from the database and not from the cache, as where a role is given.
    ///
    /// # Errors
    /// 422 for more than a thousand people.
    pub(crate) async fn list_outranking(&self, ask: FindOutranking) -> Result<Vec<UserId>, Error> {
        let FindOutranking { actor, mut users } = ask;
        if users.len() > AT_MOST {
            let mut fields = Fields::default();
            fields.broken("/users", "too_many", "At most 1000 people are looked at at once.");
            fields.finish()?;
        }
        users.retain(|user| *user != actor);
        let mut c = self.db.read().await?;
        let policy = policy::read(&mut c).await?;
        let own = memory::own(&mut c, Holder::User(actor)).await?;
        let others = owns(&mut c, users).await?;
        let mut limits = Limits { policy: &policy, own: &own, now: self.clock.now(), known: HashMap::new() };
        let outranks = |(user, theirs): (&UserId, &Own)| limits.fall_short_of(theirs).then_some(*user);
        Ok(others.iter().filter_map(outranks).collect())
    }
}

/// What each of these people has of his own; those who have nothing are left out.
async fn owns(c: &mut DbConn, users: Vec<UserId>) -> db::Result<HashMap<UserId, Own>> {
    let mut parts: HashMap<UserId, (Vec<Held>, Vec<GroupId>)> = HashMap::new();
    for assignment in store::assignments::of_users(c, &users).await? {
        if let Some(user) = assignment.subject.user() {
            parts.entry(user).or_default().0.push(Held::from(&assignment));
        }
    }
    for member in store::members::of_users(c, &users).await? {
        if let Some(user) = member.member.user() {
            parts.entry(user).or_default().1.push(member.group);
        }
    }
    Ok(parts.into_iter().map(|(user, (held, groups))| (user, Own::user(held, groups))).collect())
}

/// What somebody could give to others, and so what he may have power over.
struct Limits<'p> {
    policy: &'p Policy,
    own: &'p Own,
    now: Time,
    /// Many people hold the same.
    known: HashMap<(RoleName, Option<Time>), bool>,
}

impl Limits<'_> {
    /// Whether some of what the other one holds is beyond them.
    fn fall_short_of(&mut self, other: &Own) -> bool {
        let (policy, now) = (self.policy, self.now);
        let mut counts =
            policy.holdings(other).map(|holding| holding.held).filter(|held| held.lasts_beyond(now));
        counts.any(|held| self.exceeded_by(held))
    }

    fn exceeded_by(&mut self, held: &Held) -> bool {
        let Self { policy, own, now, known } = self;
        let exceeds = || {
            let Some(role) = policy.roles.get(held.role.as_str()) else { return false };
            let mine = policy.holdings(own).map(|holding| holding.held);
            let given = policy.roles.closure(role);
            !missing(&policy.roles, mine, &given, held.expires_at, *now).is_empty()
        };
        *known.entry((held.role.clone(), held.expires_at)).or_insert_with(exceeds)
    }
}
