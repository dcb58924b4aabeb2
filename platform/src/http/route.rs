//! Which route a request was sent to, as the routes write it.
//!
//! actix works that out by trying one route after the other once more. Where a route has no parameters, the path is the
//! route; those that were met before are remembered, and there are never more of them than routes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;

use actix_web::HttpRequest;

thread_local! {
    static PLAIN: RefCell<HashSet<String>> = RefCell::default();
}

/// The route, such as `/api/v1/users/{id}`; none when there is none for the path.
pub(super) fn route_of(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let path = request.path();
    if PLAIN.with_borrow(|plain| plain.contains(path)) {
        return Some(Cow::Borrowed(path));
    }
    let route = request.match_pattern()?;
    if route == path {
        PLAIN.with_borrow_mut(|plain| plain.insert(route.clone()));
    }
    Some(Cow::Owned(route))
}
