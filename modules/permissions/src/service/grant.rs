//! Nobody gives what he does not hold.

use crate::error::Error;
use crate::model::{Holder, Permission, Policy, missing};
use crate::service::memory;
use contracts::{Actor, Caller, GroupId, Time};
use platform::db::DbConn;
use std::collections::BTreeSet;

/// Passes when the caller may give these permissions for that long (for ever, when `until` is absent).
///
/// What the caller holds is read in the transaction and not from the cache. Doorward's own modules are not asked:
/// they act on a rule of the product, such as appointing the first administrator.
pub(super) async fn check(
    tx: &mut DbConn,
    caller: &Caller,
    policy: &Policy,
    given: &BTreeSet<Permission>,
    until: Option<Time>,
    now: Time,
) -> Result<(), Error> {
    let giver = match &caller.actor {
        Actor::Module { .. } => return Ok(()),
        Actor::Anonymous => return Err(Error::Denied),
        Actor::User { id, .. } => *id,
    };
    let own = memory::own(tx, Holder::User(giver)).await?;
    let held = policy.holdings(&own).map(|holding| holding.held);
    let lacking = missing(&policy.roles, held, given, until, now);
    if lacking.is_empty() { Ok(()) } else { Err(Error::GrantExceedsOwn(lacking)) }
}

/// Passes when the caller may put somebody into a group: he holds all that being in it brings, as long as it does.
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
