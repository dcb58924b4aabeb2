//! Whether a session may still act: asked with every request of somebody who is logged in.
//!
//! The answer may come from the cache. Whatever ends a session or changes its account forgets the cached standing
//! after its commit and before its own answer, so that the very next request is refused.

use std::time::Duration;

use contracts::auth::{CheckSession, SessionStanding};
use contracts::{SessionId, UserId};
use platform::cache::Invalidation;

use super::Service;
use crate::error::Error;
use crate::store::sessions::{self, Standing};

/// Longer than any standing is kept.
const LATELY: Duration = Duration::from_secs(86_400);

impl Service {
    pub(super) async fn session_standing(&self, ask: CheckSession) -> Result<SessionStanding, Error> {
        let standing = self
            .standings
            .get_or_load(&ask.session, async || {
                Ok::<_, Error>(sessions::standing(&mut *self.db.read().await?, ask.session).await?)
            })
            .await?;
        let now = self.now();
        let in_time = |it: &Standing| it.expires_at > now;
        let in_use = |it: &Standing| it.last_used_at.plus(self.settings.tokens.idle()) > now;
        let standing = match standing {
            // What is remembered may not have heard of the last refresh.
            Some(old) if in_time(&old) && !in_use(&old) => {
                self.standings.refresh(&ask.session).await;
                sessions::standing(&mut *self.db.read().await?, ask.session).await?
            }
            current => current,
        };
        let live = standing.is_some_and(|it| it.account == ask.user && in_time(&it) && in_use(&it));
        Ok(SessionStanding { live })
    }

    /// To be called after the commit that ended these sessions, and awaited before anybody is told that they ended.
    pub(crate) fn forget_standings(&self, sessions: &[SessionId]) -> Invalidation {
        self.standings.invalidate_each(sessions)
    }

    /// The same for all sessions of an account that ended lately: for whoever finds that what he was asked to do is done
    /// already, because the one who did it may have been cut off before anybody forgot them.
    pub(super) async fn forget_ended(&self, user: UserId) -> Result<(), Error> {
        let since = self.now().minus(LATELY);
        let ended = sessions::ended_since(&mut *self.db.read().await?, user, since).await?;
        self.forget_standings(&ended).await;
        Ok(())
    }
}
