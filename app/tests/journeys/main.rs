//! The journeys: stories told to a running Doorward over HTTP, as its users would live them.
//!
//! Nothing here knows how Doorward is made. Each journey runs in every shape, and its transcript (requests and
//! answers, with ids, times and secrets masked) must be the same in all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a test fails by panicking, these start processes, and other suites borrow the house"
)]

mod administration;
mod broker;
mod chaos;
mod client;
mod commands;
mod crash;
mod groups;
mod house;
mod mail;
mod messages;
mod passwords;
mod plan;
mod profile;
mod registration;
mod roles;
mod sessions;
mod setup;
mod transcript;

/// Declares a journey, to be told in every shape with the same transcript.
macro_rules! journey {
    ($(#[$doc:meta])* async fn $name:ident($house:ident) $story:block) => {
        mod $name {
            #[allow(unused_imports, reason = "a journey may need nothing from its file")]
            use super::*;

            async fn story($house: &mut $crate::house::House) $story

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                $crate::house::live($crate::house::Shape::Embedded, stringify!($name), story).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $crate::house::live($crate::house::Shape::Postgres, stringify!($name), story).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn replicas() {
                $crate::house::live($crate::house::Shape::Replicas, stringify!($name), story).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn services() {
                $crate::house::live($crate::house::Shape::Services, stringify!($name), story).await;
            }
        }
    };
}
pub(crate) use journey;
