//! Nobody gives what he does not hold.

use crate::error::Error;
use crate::model::{Held, Permission, RoleGraph, missing};
use crate::store;
use contracts::{Actor, Caller, Time};
use platform::db::DbConn;
use std::collections::BTreeSet;

/// Passes when the caller may give these permissions for that long (for ever, when `until` is absent).
///
/// What the caller holds is read in the transaction and not from the cache. Doorward's own modules are not asked:
/// they act on a rule of the product, such as appointing the first administrator.
pub(super) async fn check(
    tx: &mut DbConn,
    caller: &Caller,
    graph: &RoleGraph,
    given: &BTreeSet<Permission>,
    until: Option<Time>,
    now: Time,
) -> Result<(), Error> {
    let giver = match &caller.actor {
        Actor::Module { .. } => return Ok(()),
        Actor::Anonymous => return Err(Error::Denied),
        Actor::User { id, .. } => *id,
    };
    let held: Vec<Held> = store::assignments::of_subject(tx, giver).await?.iter().map(Held::from).collect();
    let lacking = missing(graph, &held, given, until, now);
    if lacking.is_empty() { Ok(()) } else { Err(Error::GrantExceedsOwn(lacking)) }
}
