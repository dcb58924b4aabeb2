//! Whether a session may still act: asked with every request of somebody who is logged in.
//!
//! The answer may come from the cache. Whatever ends a session or changes its account forgets the cached standing
//! after its commit and before its own answer, so that the very next request is refused.

use contracts::SessionId;
use contracts::auth::{CheckSession, SessionStanding};

use super::Service;
use crate::error::Error;
use crate::store::sessions::{self, Standing};

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
                self.standings.invalidate(&ask.session);
                sessions::standing(&mut *self.db.read().await?, ask.session).await?
            }
            current => current,
        };
        let live = standing.is_some_and(|it| it.account == ask.user && in_time(&it) && in_use(&it));
        Ok(SessionStanding { live })
    }

    /// To be called after the commit that ended these sessions, before anybody is told that they ended.
    pub(crate) fn forget_standings(&self, sessions: &[SessionId]) {
        for session in sessions {
            self.standings.invalidate(session);
        }
    }
}
