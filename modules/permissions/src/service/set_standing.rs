//! Noting who can log in. Decisions don't change by that; who counts as administrator does.

use crate::error::Error;
use crate::service::{Service, guard, record};
use crate::store::{graph, standings};
use contracts::permissions::SetStanding;
use contracts::{Caller, UserId};
use platform::db::DbConn;

impl Service {
    /// Keeps the standing, unless nobody would be left who is administrator.
    pub(crate) async fn keep_standing(&self, caller: &Caller, ask: SetStanding) -> Result<(), Error> {
        let now = self.clock.now();
        let SetStanding { user, active } = ask;
        let work = async |tx: &mut DbConn| {
            graph::lock(tx).await?;
            let before = guard::before(tx).await?;
            let changed = if active {
                standings::prove(tx, user).await?;
                standings::resume(tx, user).await?
            } else {
                standings::suspend(tx, user, now).await?
            };
            if changed {
                record::standing(tx, now, caller, user, active).await?;
            }
            guard::after(tx, before).await
        };
        self.db.transaction(work).await
    }

    /// Keeps that somebody has proven his address. Whether his account can be used now is another matter, so it is no
    /// harm when this is heard late, or twice.
    pub(crate) async fn keep_proof(&self, user: UserId) -> Result<(), Error> {
        self.db.transaction(async |tx| Ok(standings::prove(tx, user).await?)).await
    }
}
