//! The modules that live in this process, each at most once: what they hear, work at, answer and need for that.

use std::sync::Arc;

use actix_web::Scope;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use contracts::auth::{Auth, auth_routes};
use contracts::notifications::notifications_routes;
use contracts::permissions::permissions_routes;
use contracts::users::users_routes;
use platform::bus::Subscriber;
use platform::http::admit_service;

use super::owned;
use crate::workers::Workers;

/// What is here. A module that lives elsewhere is none.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) auth: Option<Arc<auth::Service>>,
    pub(super) users: Option<Arc<users::Service>>,
    pub(super) permissions: Option<Arc<permissions::Service>>,
    pub(super) notifications: Option<Arc<notifications::Service>>,
}

impl Here {
    pub(super) fn subscribers(&self) -> Vec<Arc<dyn Subscriber>> {
        [
            self.auth.as_ref().map(auth::subscribers),
            self.users.as_ref().map(users::subscribers),
            self.permissions.as_ref().map(permissions::subscribers),
            self.notifications.as_ref().map(notifications::subscribers),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .collect()
    }

    /// Gives an application what the handlers of these modules ask for.
    pub(super) fn furnish(&self, app: &mut ServiceConfig) {
        let Self { auth, users, permissions, notifications } = self.clone();
        if let Some(auth) = auth {
            app.app_data(Data::from(auth));
        }
        if let Some(users) = users {
            app.app_data(Data::from(users));
        }
        if let Some(permissions) = permissions {
            app.app_data(Data::from(permissions));
        }
        if let Some(notifications) = notifications {
            app.app_data(Data::from(notifications));
        }
    }

    pub(super) fn work(&self, workers: &mut Workers, accounts: &Arc<dyn Auth>) {
        let Self { auth, users, permissions, notifications } = self.clone();
        if let Some(auth) = auth {
            workers.start("auth", move |stop| owned(&auth, |it| it.work(stop)));
        }
        if let Some(users) = users {
            workers.start("users", move |stop| owned(&users, |it| it.work(stop)));
        }
        if let Some(permissions) = permissions {
            let (own, accounts) = (Arc::clone(&permissions), Arc::clone(accounts));
            workers.start("proofs", move |stop| {
                let accounts = Arc::clone(&accounts);
                owned(&own, |it| async move { it.prove_administrators(accounts, stop).await })
            });
            workers.start("permissions", move |stop| owned(&permissions, |it| it.work(stop)));
        }
        if let Some(notifications) = notifications {
            workers.start("notifications", move |stop| owned(&notifications, |it| it.work(stop)));
        }
    }

    /// What these modules answer to those that live elsewhere.
    pub(super) fn internal_routes(&self, app: &mut ServiceConfig) {
        let Self { auth, users, permissions, notifications } = self.clone();
        let scopes: [Option<Scope>; 4] = [
            auth.map(|it| auth_routes(it)),
            users.map(|it| users_routes(it)),
            permissions.map(|it| permissions_routes(it)),
            notifications.map(|it| notifications_routes(it)),
        ];
        for scope in scopes.into_iter().flatten() {
            app.service(scope.wrap(from_fn(admit_service)));
        }
    }
}
