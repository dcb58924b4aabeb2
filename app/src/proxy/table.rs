//! Which process answers which path: found out by mounting each module's routes alone and looking what is there. What is
//! not part of the interface's document, because it is for people, is told by the modules.

use actix_web::App;
use contracts::Module;
use serde_json::Value;
use utoipa_actix_web::AppExt;

use crate::openapi;

/// A path of the public listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// As it is mounted: `/api/v1/users/{id}`; `{name:.*}` at the end stands for everything below.
    pub(super) path: String,
    /// Whoever answers; none when every process does.
    pub(super) owner: Option<Module>,
    /// Its answer does not end by itself, and must not be held back.
    pub(super) streams: bool,
    /// Its request may be as long as it likes.
    pub(super) uploads: bool,
}

impl Route {
    fn page(path: &str, owner: Option<Module>) -> Self {
        Self { path: path.to_owned(), owner, streams: false, uploads: false }
    }

    /// Whether the path stands for itself alone.
    pub(super) fn is_exact(&self) -> bool {
        !self.path.contains('{')
    }

    /// A regular expression for the whole path.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::from("^");
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').unwrap_or((after, ""));
            pattern.push_str(&escaped(before));
            pattern.push_str(if name.contains(':') { ".*" } else { "[^/]+" });
            rest = behind;
        }
        pattern.push_str(&escaped(rest));
        pattern.push('$');
        pattern
    }
}

fn escaped(text: &str) -> String {
    text.replace('.', "\\.")
}

/// Every path of the public listeners.
#[derive(Clone, Debug)]
pub(super) struct Table(Vec<Route>);

impl Table {
    pub(super) fn of_the_routes(development: bool) -> Self {
        let app = App::new().into_utoipa_app().openapi(openapi::empty());
        let (_, everywhere) = app.configure(openapi::every_process).split_for_parts();
        let mut routes = documented(&everywhere, None);
        for module in Module::ALL {
            let app = App::new().into_utoipa_app().openapi(openapi::empty());
            let (_, own) = app.configure(|routes| openapi::routes_of(module, routes)).split_for_parts();
            routes.extend(documented(&own, Some(module)));
        }
        routes.extend(crate::docs::PATHS.iter().map(|path| Route::page(path, None)));
        routes.extend(auth::PAGES.iter().map(|path| Route::page(path, Some(Module::Auth))));
        if development {
            let mailbox = notifications::DEV_PAGES.iter();
            routes.extend(mailbox.map(|path| Route::page(path, Some(Module::Notifications))));
        }
        Self(routes)
    }

    /// Those of one owner.
    pub(super) fn of(&self, owner: Module) -> impl Iterator<Item = &Route> {
        self.0.iter().filter(move |route| route.owner == Some(owner))
    }

    /// Those that need something special.
    pub(super) fn special(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().filter(|route| route.streams || route.uploads)
    }
}

fn documented(document: &utoipa::openapi::OpenApi, owner: Option<Module>) -> Vec<Route> {
    let document = serde_json::to_value(&document.paths).unwrap_or_default();
    let paths = document.as_object().into_iter().flatten();
    let route = |(path, item): (&String, &Value)| {
        let operations: Vec<&Value> =
            item.as_object().into_iter().flatten().map(|(_, operation)| operation).collect();
        let speaks = |pointer: &str, kind: &str| {
            operations.iter().any(|operation| {
                let found = operation.pointer(pointer);
                found.is_some_and(|found| found.to_string().contains(&format!("\"{kind}\":")))
            })
        };
        Route {
            path: path.clone(),
            owner,
            streams: speaks("/responses", "text/event-stream"),
            uploads: speaks("/requestBody", "application/x-ndjson"),
        }
    };
    paths.map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_document_has_one_owner_and_no_path_has_two() {
        let Table(routes) = Table::of_the_routes(true);
        for path in openapi::document().paths.paths.keys() {
            let found = routes.iter().filter(|route| route.path == *path).count();
            assert_eq!(found, 1, "{path}");
        }
        // Every path, as it may really look, and what could be taken for it. (An import with the id `permissions` would be
        // one; ids are UUIDs, and where two match, the module that is mounted first answers, here as there.)
        let patterns: Vec<_> =
            routes.iter().map(|route| (regex::Regex::new(&route.pattern()).unwrap(), route.owner)).collect();
        for route in &routes {
            for filled in ["me", "x", "01900000-0000-7000-8000-000000000000"] {
                let mut real = String::new();
                let mut rest = route.path.as_str();
                while let Some((before, after)) = rest.split_once('{') {
                    real.push_str(before);
                    real.push_str(filled);
                    rest = after.split_once('}').map_or("", |(_, behind)| behind);
                }
                real.push_str(rest);
                let owners: std::collections::BTreeSet<_> =
                    patterns.iter().filter(|(it, _)| it.is_match(&real)).map(|(_, owner)| *owner).collect();
                assert_eq!(owners.len(), 1, "{real} would be answered by {owners:?}");
            }
        }
    }

    #[test]
    fn streams_and_uploads_are_known() {
        let table = Table::of_the_routes(false);
        let special: Vec<_> = table.special().map(|it| (it.path.as_str(), it.streams, it.uploads)).collect();
        assert_eq!(special, [("/api/v1/users/imports", false, true), ("/api/v1/inbox/stream", true, false)]);
    }

    #[test]
    fn a_pattern_stands_for_one_segment_each() {
        let pattern = |path: &str| Route::page(path, None).pattern();
        assert_eq!(pattern("/a/{id}/b.json"), r"^/a/[^/]+/b\.json$");
        assert_eq!(pattern("/docs/{file:.*}"), "^/docs/.*$");
    }
}
