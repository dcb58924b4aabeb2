//! What this module hears from others: nothing. Whoever must know about an account asks this module.

use std::sync::Arc;

use platform::bus::Subscriber;

use crate::Service;

/// The subscribers of this module.
#[must_use]
pub fn subscribers(_: &Arc<Service>) -> Vec<Arc<dyn Subscriber>> {
    Vec::new()
}
