//! Noting whose account can't be used. Decisions don't change by that; who counts as administrator does.

use crate::error::Error;
use crate::service::{Service, guard, record};
use crate::store;
use contracts::Caller;
use contracts::permissions::SetStanding;
use platform::db::DbConn;

impl Service {
    /// Keeps the standing, unless nobody would be left who is administrator.
    pub(crate) async fn keep_standing(&self, caller: &Caller, ask: SetStanding) -> Result<(), Error> {
        let now = self.clock.now();
        let SetStanding { user, active } = ask;
        let work = async |tx: &mut DbConn| {
            store::graph::lock(tx).await?;
            let before = guard::before(tx).await?;
            let changed = match active {
                true => store::suspensions::delete(tx, user).await?,
                false => store::suspensions::insert(tx, user, now).await?,
            };
            if changed {
                record::standing(tx, now, caller, user, active).await?;
            }
            guard::after(tx, before).await
        };
        self.db.transaction(work).await
    }
}
