//! Whether a session may still act: asked with every request of somebody who is logged in.
//!
//! The answer may come from the cache. Whatever ends a session or changes its account forgets the cached standing
//! after its commit and before its own answer, so that the very next request is refused.

use contracts::SessionId;
use contracts::auth::{CheckSession, SessionStanding};

use super::Service;
use crate::error::Error;
use crate::store::sessions;

impl Service {
    pub(super) async fn session_standing(&self, ask: CheckSession) -> Result<SessionStanding, Error> {
        let standing = self
            .standings
            .get_or_load(&ask.session, async || {
                Ok::<_, Error>(sessions::standing(&mut *self.db.read().await?, ask.session).await?)
            })
            .await?;
        let live = standing.is_some_and(|it| it.account == ask.user && it.expires_at > self.now());
        Ok(SessionStanding { live })
    }

    /// To be called after the commit that ended these sessions, before anybody is told that they ended.
    pub(crate) fn forget_standings(&self, sessions: &[SessionId]) {
        for session in sessions {
            self.standings.invalidate(session);
        }
    }
}
