//! Which operation belongs to which class of limits, and how often each class may be called: against floods, counted in this
//! process and, where there is a Redis, over all of them. What guards secrets is counted by auth, in the database, and is
//! not this.

use std::time::Duration;

use actix_web::http::Method;
use platform::clock::Clock;
use platform::http::{LimitClass, Limits};
use platform::limits::Limit;
use serde::Deserialize;
use utoipa::openapi::{HttpMethod, OpenApi, PathItem};

/// How often operations may be called, by class.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSettings {
    max_tracked: u32,
    logins: Policy,
    registrations: Policy,
    messages: Policy,
    refreshes: Policy,
    secrets: Policy,
    changes: Policy,
    administration: Policy,
    notifications: Policy,
    evaluations: Policy,
    reads: Policy,
}

/// How often the operations of one class may be called; 0 is without limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    per_address: u32,
    per_account: u32,
    window_seconds: u64,
}

impl Policy {
    fn class(&self, name: &'static str) -> LimitClass {
        let window = Duration::from_secs(self.window_seconds);
        let limit = |capacity: u32| (capacity > 0).then_some(Limit { capacity, window });
        LimitClass { name, per_address: limit(self.per_address), per_account: limit(self.per_account) }
    }
}

/// A class of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Proving who one is.
    Logins,
    /// Making an account.
    Registrations,
    /// What sends a message to an address that somebody typed in.
    Messages,
    /// Trading a refresh token.
    Refreshes,
    /// What takes a secret that works once.
    Secrets,
    /// Changing what is one's own.
    Changes,
    /// Changing what is others'.
    Administration,
    /// Sending messages.
    Notifications,
    /// Asking for decisions.
    Evaluations,
    /// Looking.
    Reads,
}

impl Class {
    /// Nobody is logged in at any of its operations, so they can't be counted by account.
    fn is_anonymous(self) -> bool {
        matches!(self, Logins | Registrations | Messages | Refreshes | Secrets)
    }
}

use Class::{
    Administration, Changes, Evaluations, Logins, Messages, Notifications, Reads, Refreshes, Registrations,
    Secrets,
};

/// Operations by path and method. What is not named here is a read when it is a GET, and a change of one's own
/// otherwise; what nobody must be logged in for has to be named.
const TABLE: &[(HttpMethod, &str, Class)] = &[
    (HttpMethod::Post, "/api/v1/auth/logins", Logins),
    (HttpMethod::Post, "/api/v1/auth/registrations", Registrations),
    (HttpMethod::Post, "/api/v1/auth/tokens", Refreshes),
    (HttpMethod::Post, "/api/v1/auth/verifications/resend", Messages),
    (HttpMethod::Post, "/api/v1/auth/password-resets", Messages),
    (HttpMethod::Post, "/api/v1/setup", Secrets),
    (HttpMethod::Post, "/api/v1/auth/verifications", Secrets),
    (HttpMethod::Post, "/api/v1/auth/password-resets/confirm", Secrets),
    (HttpMethod::Post, "/api/v1/auth/invitations/accept", Secrets),
    (HttpMethod::Post, "/api/v1/auth/session-reports", Secrets),
    (HttpMethod::Post, "/api/v1/notifications/unsubscribe", Secrets),
    (HttpMethod::Post, "/api/v1/notifications/receipts/{provider}", Secrets),
    (HttpMethod::Post, "/access/v1/evaluation", Evaluations),
    (HttpMethod::Post, "/access/v1/evaluations", Evaluations),
    (HttpMethod::Post, "/access/v1/search/action", Evaluations),
    (HttpMethod::Post, "/access/v1/search/resource", Evaluations),
    (HttpMethod::Post, "/access/v1/search/subject", Evaluations),
    (HttpMethod::Post, "/api/v1/notifications", Notifications),
    (HttpMethod::Post, "/api/v1/notifications/{id}/retry", Notifications),
];

/// Whoever may write below these paths administers.
const ADMINISTRATION: [&str; 5] =
    ["/api/v1/users", "/api/v1/users/{id}", "/api/v1/roles", "/api/v1/role-assignments", "/api/v1/groups"];

impl LimitSettings {
    /// What is wrong, a sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1_024..=16_777_216).contains(&self.max_tracked) {
            problems.push("limits.max_tracked must be from 1024 to 16777216.".to_owned());
        }
        for class in ALL {
            let (name, policy) = self.policy(class);
            if !(1..=86_400).contains(&policy.window_seconds) {
                problems.push(format!("limits.{name}.window_seconds must be from 1 to 86400."));
            }
            if class.is_anonymous() && policy.per_account > 0 {
                problems.push(format!(
                    "limits.{name}.per_account must be 0: whoever calls these operations has no account yet. Set \
                     limits.{name}.per_address instead."
                ));
            }
        }
        problems
    }

    fn policy(&self, class: Class) -> (&'static str, &Policy) {
        match class {
            Logins => ("logins", &self.logins),
            Registrations => ("registrations", &self.registrations),
            Messages => ("messages", &self.messages),
            Refreshes => ("refreshes", &self.refreshes),
            Secrets => ("secrets", &self.secrets),
            Changes => ("changes", &self.changes),
            Administration => ("administration", &self.administration),
            Notifications => ("notifications", &self.notifications),
            Evaluations => ("evaluations", &self.evaluations),
            Reads => ("reads", &self.reads),
        }
    }

    /// The limit of every operation of the document.
    pub(crate) fn limits(&self, clock: Clock, document: &OpenApi) -> Limits {
        let mut limits = Limits::new(clock, usize::try_from(self.max_tracked).unwrap_or(1_024));
        for (path, item) in &document.paths.paths {
            for (method, known) in methods(item) {
                let (name, policy) = self.policy(class_of(&known, path));
                limits = limits.with(method, path, policy.class(name));
            }
        }
        limits
    }
}

const ALL: [Class; 10] = [
    Logins,
    Registrations,
    Messages,
    Refreshes,
    Secrets,
    Changes,
    Administration,
    Notifications,
    Evaluations,
    Reads,
];

fn class_of(method: &HttpMethod, path: &str) -> Class {
    let named = TABLE.iter().find(|(known, at, _)| known == method && *at == path);
    let below =
        |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let others = ADMINISTRATION.iter().any(below) && !path.starts_with("/api/v1/users/me");
    match named {
        Some((_, _, class)) => *class,
        None if *method == HttpMethod::Get => Reads,
        None if others => Administration,
        None => Changes,
    }
}

fn methods(item: &PathItem) -> impl Iterator<Item = (Method, HttpMethod)> {
    [
        (Method::GET, HttpMethod::Get, item.get.is_some()),
        (Method::POST, HttpMethod::Post, item.post.is_some()),
        (Method::PUT, HttpMethod::Put, item.put.is_some()),
        (Method::PATCH, HttpMethod::Patch, item.patch.is_some()),
        (Method::DELETE, HttpMethod::Delete, item.delete.is_some()),
    ]
    .into_iter()
    .filter_map(|(method, known, there)| there.then_some((method, known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_may_write_is_named_in_the_table() {
        for (path, item) in crate::openapi::document().paths.paths {
            let public = |operation: &Option<utoipa::openapi::path::Operation>| {
                operation.as_ref().is_some_and(|it| it.security.as_ref().is_some_and(Vec::is_empty))
            };
            let writes = [
                (HttpMethod::Post, &item.post),
                (HttpMethod::Put, &item.put),
                (HttpMethod::Delete, &item.delete),
            ];
            for (method, operation) in writes {
                let named = TABLE.iter().any(|(known, at, _)| *known == method && *at == path);
                assert!(!public(operation) || named, "{path} has no class of limits");
            }
        }
    }

    #[test]
    fn a_class_can_be_counted_by_account_when_one_of_its_operations_knows_who_calls() {
        let document = crate::openapi::document();
        for class in ALL {
            let mut known = false;
            for (path, item) in &document.paths.paths {
                let operations = [
                    (HttpMethod::Get, &item.get),
                    (HttpMethod::Post, &item.post),
                    (HttpMethod::Put, &item.put),
                    (HttpMethod::Patch, &item.patch),
                    (HttpMethod::Delete, &item.delete),
                ];
                for (method, operation) in operations {
                    let Some(operation) = operation.as_ref().filter(|_| class_of(&method, path) == class)
                    else {
                        continue;
                    };
                    known |= !operation.security.as_ref().is_some_and(Vec::is_empty);
                }
            }
            assert_eq!(class.is_anonymous(), !known, "{class:?}");
        }
    }

    #[test]
    fn an_operation_has_one_class() {
        for (method, path, class) in [
            (HttpMethod::Post, "/api/v1/auth/logins", Logins),
            (HttpMethod::Get, "/api/v1/users/me", Reads),
            (HttpMethod::Patch, "/api/v1/users/me", Changes),
            (HttpMethod::Put, "/api/v1/users/me/preferences/{namespace}", Changes),
            (HttpMethod::Patch, "/api/v1/users/{id}", Administration),
            (HttpMethod::Post, "/api/v1/users", Administration),
            (HttpMethod::Delete, "/api/v1/roles/{name}", Administration),
            (HttpMethod::Post, "/access/v1/evaluation", Evaluations),
        ] {
            assert_eq!(class_of(&method, path), class, "{path}");
        }
    }
}
