//! Identity first: nothing else about a request is judged before it is known who sent it.
//!
//! The framework polls all extractors of a handler side by side, and the first refusal wins. Without this, somebody
//! who may not call at all would be told what is wrong with the body instead. So an identity extractor announces
//! itself when it is built, and the others wait until it is done. When it refuses, they are dropped waiting.
//! Write the identity first in a handler's arguments: extractors are built in that order.

use actix_web::{HttpMessage, HttpRequest};
use tokio_util::sync::CancellationToken;

/// The identities being established, in the request's extensions. A cancelled token is an open door: it is used for
/// being a latch that any number may wait for.
#[derive(Clone, Default)]
struct Doors(Vec<CancellationToken>);

/// An identity being established.
pub(super) struct Identifying(CancellationToken);

impl Identifying {
    /// Makes all extractors that are built later wait.
    pub(super) fn begin(request: &HttpRequest) -> Self {
        let door = CancellationToken::new();
        let mut extensions = request.extensions_mut();
        match extensions.get_mut::<Doors>() {
            Some(doors) => doors.0.push(door.clone()),
            None => {
                extensions.insert(Doors(vec![door.clone()]));
            }
        }
        Self(door)
    }

    /// Lets them go on.
    pub(super) fn done(&self) {
        self.0.cancel();
    }
}

/// Waits until every identity that was announced so far is established.
pub(super) fn identified(request: &HttpRequest) -> impl Future<Output = ()> + 'static {
    let doors = request.extensions().get::<Doors>().cloned().unwrap_or_default();
    async move {
        for door in doors.0 {
            door.cancelled().await;
        }
    }
}
