//! A text that must not show itself: a password or a password hash on its way from one module to another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text whose `Debug` shows nothing. On the wire it is the plain text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Concealed(String);

impl Concealed {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Concealed(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::Concealed;

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Concealed::new("hunter2")), "Concealed(***)");
    }
}
