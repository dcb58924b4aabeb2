//! Nobody gives what he does not hold, and nobody takes from others what he could not give.

use crate::error::Error;
use crate::model::{Assignment, Holder, Permission, Policy, Role, missing};
use crate::service::memory;
use contracts::{Actor, Caller, GroupId, Time};
use platform::db::DbConn;
use std::collections::BTreeSet;

/// Passes when the caller may give or take these permissions for that long (for ever, when `until` is absent).
///
/// What the caller lacks is not named: it is what a role or a group holds, which is for those to know who may read it.
pub(super) async fn check(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    reached: &BTreeSet<Permission>,
    until: Option<Time>,
    now: Time,
) -> Result<(), Error> {
    let lacking = lacking(tx, caller, policy, reached, until, now).await?;
    if lacking.is_empty() { Ok(()) } else { Err(Error::GrantExceedsOwn(vec![])) }
}

/// Passes when the caller may have a role become this: he holds all that it allows then, and all that it allowed
/// `before`. Of what he lacks, that is named which he wrote down himself.
pub(super) async fn check_role(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    before: Option<&Role>,
    role: &Role,
    now: Time,
) -> Result<(), Error> {
    let mut reached = policy.roles.closure(role);
    reached.extend(before.into_iter().flat_map(|before| policy.roles.closure(before)));
    let mut lacking = lacking(tx, caller, policy, &reached, None, now).await?;
    if lacking.is_empty() {
        return Ok(());
    }
    lacking.retain(|one| role.permissions.contains(one));
    Err(Error::GrantExceedsOwn(lacking))
}

/// Passes when the caller may put somebody into a group, take somebody out of it, or change it: he holds all that being
/// in it brings, as long as it does.
pub(super) async fn check_group(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    group: GroupId,
    now: Time,
) -> Result<(), Error> {
    let nothing = BTreeSet::new();
    check(tx, caller, policy, &nothing, None, now).await?;
    for held in policy.brought_by(group).into_iter().filter(|held| held.lasts_beyond(now)) {
        if let Some(role) = policy.roles.get(held.role.as_str()) {
            check(tx, caller, policy, &policy.roles.closure(role), held.expires_at, now).await?;
        }
    }
    Ok(())
}

/// Passes when the caller may take this away: he could give it, it is his own, or it has ended.
pub(super) async fn check_removal(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    assignment: &Assignment,
    now: Time,
) -> Result<(), Error> {
    let role = policy.roles.get(assignment.role.as_str());
    match role.filter(|_| assignment.lasts_beyond(now) && !is_caller(caller, assignment.subject)) {
        Some(role) => {
            check(tx, caller, policy, &policy.roles.closure(role), assignment.expires_at, now).await
        }
        None => Ok(()),
    }
}

/// Whether that is the caller, who may lay down whatever he has.
pub(super) fn is_caller(caller: &Caller, who: Holder) -> bool {
    who.user().is_some_and(|user| caller.user() == Some(user))
}

/// Those of these permissions that the caller can neither give nor take for that long.
///
/// What he holds is read in the transaction and not from the cache. Doorward's own modules are not asked: they act on a
/// rule of the product, such as appointing the first administrator.
async fn lacking(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    reached: &BTreeSet<Permission>,
    until: Option<Time>,
    now: Time,
) -> Result<Vec<Permission>, Error> {
    let holder = match &caller.actor {
        Actor::Module { .. } => return Ok(vec![]),
        Actor::Anonymous => return Err(Error::Denied),
        Actor::User { id, .. } => *id,
    };
    let own = memory::own(tx, Holder::User(holder)).await?;
    let held = policy.holdings(&own).map(|holding| holding.held);
    Ok(missing(&policy.roles, held, reached, until, now))
}
