//! Who may call a handler is a type in its signature: [`Anyone`], [`User`] or [`Allowed`].
//!
//! A [`User`] is a token that verifies here plus a session that auth says is live, on every request; an [`Allowed`]
//! is a user of whom permissions decided so. Names and ids in headers mean nothing. Whoever asks is counted first, where
//! the operation is limited: by address before anything is looked at, by account once it is known.

use std::future::{Future, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use contracts::auth::{Auth, CheckSession};
use contracts::permissions::{Evaluate, Permissions, Subject};
use contracts::{Actor, Caller, Error, SessionId, UserId};
use futures_util::future::Either;

use super::client_address::client_address;
use super::context::RequestIds;
use super::limited::{Metered, meter};
use super::order::Identifying;
use super::problem::Problem;
use crate::tokens::{Refused, Verifier};

/// A browser's name for itself is cut here.
const USER_AGENT_CHARACTERS: usize = 256;

/// Anybody may call: the request's ids, address and client, with [`Actor::Anonymous`].
#[derive(Clone, Debug)]
pub struct Anyone(pub Caller);

impl FromRequest for Anyone {
    type Error = Problem;
    type Future = Either<Ready<Result<Self, Problem>>, Pin<Box<dyn Future<Output = Result<Self, Problem>>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        match meter(request) {
            Ok(Some(metered)) if metered.is_open() => {
                let (identifying, caller) = (Identifying::begin(request), caller(request));
                Either::Right(Box::pin(async move {
                    metered.address().await?;
                    identifying.done();
                    Ok(Self(caller))
                }))
            }
            counted => Either::Left(ready(counted.map(|_| Self(caller(request))))),
        }
    }
}

/// Somebody who is logged in may call.
#[derive(Clone, Debug)]
pub struct User {
    /// The person.
    pub id: UserId,
    /// The login this request belongs to.
    pub session: SessionId,
    /// The same, with the request's ids, as contracts take it.
    pub caller: Caller,
}

impl FromRequest for User {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asked = Asked::of(request);
        Box::pin(async move { asked?.admit().await })
    }
}

/// A right: a permission `resource:action` as a type, made by [`crate::rights!`].
pub trait Right: 'static {
    /// Such as `roles:write`.
    const NAME: &'static str;
}

/// Somebody who is logged in and was allowed by permissions may call.
#[derive(Clone, Debug)]
pub struct Allowed<R: Right> {
    /// Who.
    pub user: User,
    right: PhantomData<fn() -> R>,
}

impl<R: Right> FromRequest for Allowed<R> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let asked = Asked::of(request);
        Box::pin(async move { Ok(Self { user: asked?.admit_with(R::NAME).await?, right: PhantomData }) })
    }
}

/// What decides who may pass. Give it to the application as `web::Data<Gate>`.
#[derive(Clone)]
pub struct Gate {
    /// Verifies access tokens, here.
    pub verifier: Arc<Verifier>,
    /// Knows which sessions are live.
    pub auth: Arc<dyn Auth>,
    /// Decides about rights.
    pub permissions: Arc<dyn Permissions>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// Who presents this token, when it is good and its login is still live.
    ///
    /// # Errors
    /// 401, or 503 when auth or the keys can't be asked.
    pub async fn admit(&self, token: &str, caller: Caller) -> Result<User, Problem> {
        let claims = self.verifier.verify(token).await.map_err(|refused| match refused {
            Refused::Token(_) => Problem::invalid_token(),
            Refused::Keys(error) => error.into(),
        })?;
        let (id, session) = (claims.sub, claims.sid);
        let caller = Caller { actor: Actor::User { id, session }, ..caller };
        let standing = self.auth.check_session(&caller, CheckSession { user: id, session }).await?;
        if standing.live { Ok(User { id, session, caller }) } else { Err(Problem::invalid_token()) }
    }

    /// Passes when permissions allows the person the right, on its whole resource type.
    ///
    /// # Errors
    /// 403, or 503 when permissions can't be asked.
    pub async fn permit(&self, user: &User, right: &'static str) -> Result<(), Problem> {
        let denied = || Problem::from(Error::denied("platform.denied", "You may not do this."));
        let (resource_type, action) = right.split_once(':').ok_or_else(denied)?;
        let ask = Evaluate {
            subject: Subject::user(user.id),
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: None,
            resource_properties: serde_json::Map::new(),
        };
        let decision = self.permissions.evaluate(&user.caller, ask).await?;
        if decision.allowed { Ok(()) } else { Err(denied()) }
    }
}

/// What a request says about its caller, taken out of it so that deciding may wait.
struct Asked {
    gate: Option<web::Data<Gate>>,
    token: Option<String>,
    caller: Caller,
    identifying: Identifying,
    metered: Option<Metered>,
}

impl Asked {
    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let identifying = Identifying::begin(request);
        Ok(Self {
            gate: request.app_data::<web::Data<Gate>>().cloned(),
            token: bearer(request),
            caller: caller(request),
            identifying,
            metered: meter(request)?,
        })
    }

    async fn admit(self) -> Result<User, Problem> {
        let (user, _, identifying) = self.identify().await?;
        identifying.done();
        Ok(user)
    }

    async fn admit_with(self, right: &'static str) -> Result<User, Problem> {
        let (user, gate, identifying) = self.identify().await?;
        gate.permit(&user, right).await?;
        identifying.done();
        Ok(user)
    }

    async fn identify(self) -> Result<(User, web::Data<Gate>, Identifying), Problem> {
        if let Some(metered) = &self.metered {
            metered.address().await?;
        }
        let token = self.token.ok_or_else(Problem::unauthenticated)?;
        let gate = self.gate.ok_or_else(no_gate)?;
        let user = gate.admit(&token, self.caller).await?;
        if let Some(metered) = &self.metered {
            metered.account(user.id).await?;
        }
        Ok((user, gate, self.identifying))
    }
}

fn no_gate() -> Problem {
    Error::internal("the application was built without a Gate").into()
}

/// The bearer token (RFC 6750 section 2.1): from exactly one Authorization header, and nowhere else.
fn bearer(request: &HttpRequest) -> Option<String> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (headers.next()?, headers.next());
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    (second.is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

fn caller(request: &HttpRequest) -> Caller {
    let ids = RequestIds::of(request);
    Caller {
        actor: Actor::Anonymous,
        request_id: ids.request_id.to_string(),
        traceparent: Some(ids.traceparent.to_string()),
        client_address: client_address(request),
        user_agent: user_agent(request),
    }
}

fn user_agent(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::USER_AGENT)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    Some(text.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARACTERS).collect())
}

/// Whether a right is written as `resource:action`; [`crate::rights!`] refuses to compile one that is not.
#[must_use]
pub const fn is_right(name: &str) -> bool {
    let bytes = name.as_bytes();
    let (mut rest, mut colons, mut length) = (bytes, 0, 0);
    while let [byte, tail @ ..] = rest {
        match byte {
            b':' if length == 0 => return false,
            b':' => {
                colons += 1;
                length = 0;
            }
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => length += 1,
            _ => return false,
        }
        rest = tail;
    }
    colons == 1 && length > 0
}

/// Declares rights as types for [`Allowed`]: `rights! { pub ManageRoles = "roles:write"; }`.
#[macro_export]
macro_rules! rights {
    ($($(#[$meta:meta])* $vis:vis $name:ident = $right:literal;)+) => {$(
        $(#[$meta])*
        #[doc = concat!("The right `", $right, "`.")]
        #[derive(Clone, Copy, Debug)]
        $vis enum $name {}

        impl $crate::http::Right for $name {
            const NAME: &'static str = $right;
        }

        const _: () = assert!($crate::http::is_right($right), "a right is written as resource:action");
    )+};
}

#[cfg(test)]
mod tests {
    use super::is_right;

    #[test]
    fn a_right_is_a_resource_and_an_action() {
        for good in ["roles:write", "audit-events:read", "a:b"] {
            assert!(is_right(good), "{good}");
        }
        for bad in ["", ":", "roles", "roles:", ":write", "roles:write:all", "Roles:write", "roles: write"] {
            assert!(!is_right(bad), "{bad}");
        }
    }
}
