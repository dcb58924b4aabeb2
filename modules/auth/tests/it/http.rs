//! What anybody sees from outside.

mod invitations;
mod logins;
mod pages;
mod refresh;
mod registrations;
mod sessions;
mod setup;
mod tokens;
mod verifications;
