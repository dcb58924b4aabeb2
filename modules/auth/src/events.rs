//! What this module hears: that a session ended, from itself.
//!
//! Whoever ends a session forgets its standing before he answers, unless his caller left in the very moment of the
//! commit and the rest of the request was dropped. Then this forgets it a moment later.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::auth::SessionRevoked;
use contracts::{Event, Fact};
use platform::bus::Subscriber;

use crate::Service;

/// The subscribers of this module.
#[must_use]
pub fn subscribers(service: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    vec![Arc::new(Freshness(Arc::clone(service)))]
}

struct Freshness(Arc<Service>);

#[async_trait]
impl Subscriber for Freshness {
    fn name(&self) -> &'static str {
        "auth.freshness"
    }

    fn hears(&self) -> &'static [&'static str] {
        &[SessionRevoked::TYPE]
    }

    /// Forgetting twice does no harm, so there is no inbox here.
    async fn hear(&self, event: &Event) -> contracts::Result<()> {
        self.0.forget_standings(&[event.read::<SessionRevoked>()?.session]);
        Ok(())
    }
}
