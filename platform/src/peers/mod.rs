//! Modules that live in other processes: where they are, and the lines over which they are asked.
//!
//! A line has a deadline, asks once more only what may be asked twice, and leaves a peer alone for a moment that does not
//! answer. Whatever goes wrong on the way is `Unavailable`, for whoever needs that peer and for nobody else. Left out:
//! which modules are here, which the application knows, and who may ask what, which stands in the contracts.

mod circuit;
mod line;
mod settings;

pub use line::{HttpLine, Lines};
pub use settings::{Circuit, Keys, Settings, Tls};
