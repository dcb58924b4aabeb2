//! What anybody sees from outside.

mod foreign_hashes;
mod guessing;
mod invitations;
mod lifetimes;
mod logins;
mod pages;
mod password_change;
mod password_resets;
mod refresh;
mod registrations;
mod secrets;
mod sessions;
mod setup;
mod sign_in_notices;
mod steps;
mod timing;
mod tokens;
mod verifications;
