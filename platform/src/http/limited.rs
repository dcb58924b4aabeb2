//! How often an operation may be called, by client address and by account, in this process.
//!
//! Which operation belongs to which class is a table that the application makes; here it is looked up after routing, so
//! that no spelling of a path gets around it. Answers of limited operations tell what is left (`RateLimit` and
//! `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers). Left out: limits that guard secrets or hold over replicas;
//! those who own the secrets count them in the database.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::Hash;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, web};
use contracts::{Error, Kind, UserId};
use metrics::counter;

use super::client_address::{client_address, counted};
use super::problem::Problem;
use super::route::route_of;
use crate::clock::Clock;
use crate::limits::{Flood, Level, Limit};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How often the operations of one class may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitClass {
    /// A stable word, such as `logins`.
    pub name: &'static str,
    /// By one client address, an IPv6 network /64 counting as one; no limit when `None`.
    pub per_address: Option<Limit>,
    /// By one person who is logged in; no limit when `None`.
    pub per_account: Option<Limit>,
}

/// Every limited operation. Give it to the application as `web::Data`; without it nothing is limited.
#[derive(Debug)]
pub struct Limits {
    clock: Clock,
    flood: Flood,
    methods: Vec<Method>,
    classes: HashMap<String, Vec<(Method, LimitClass)>>,
}

impl Limits {
    /// No limited operation yet; `buckets` is how many clients and accounts are told apart, at 16 bytes each.
    #[must_use]
    pub fn new(clock: Clock, buckets: usize) -> Self {
        Self { clock, flood: Flood::new(buckets), methods: Vec::new(), classes: HashMap::new() }
    }

    /// The same, with one more operation: its method and its path as the routes write it.
    #[must_use]
    pub fn with(mut self, method: Method, path: &str, class: LimitClass) -> Self {
        if class.per_address.is_some() || class.per_account.is_some() {
            if !self.methods.contains(&method) {
                self.methods.push(method.clone());
            }
            self.classes.entry(path.to_owned()).or_default().push((method, class));
        }
        self
    }

    fn class_of(&self, request: &HttpRequest) -> Option<LimitClass> {
        if !self.methods.contains(request.method()) {
            return None;
        }
        let classes = self.classes.get(route_of(request)?.as_ref())?;
        classes.iter().find(|(method, _)| method == request.method()).map(|(_, class)| *class)
    }
}

/// What was counted for one request, in its extensions.
#[derive(Clone, Debug, Default)]
struct Counted(Rc<RefCell<Vec<Count>>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    class: &'static str,
    by: &'static str,
    limit: Limit,
    level: Level,
}

/// A request that was counted by its address and may be counted by its account.
pub(super) struct Metered {
    limits: web::Data<Limits>,
    class: LimitClass,
    counted: Counted,
}

/// Counts a request by its address, once; none when its operation is not limited.
pub(super) fn meter(request: &HttpRequest) -> Result<Option<Metered>, Problem> {
    let Some(limits) = request.app_data::<web::Data<Limits>>().cloned() else { return Ok(None) };
    let Some(class) = limits.class_of(request) else { return Ok(None) };
    if let Some(counted) = request.extensions().get::<Counted>().cloned() {
        return Ok(Some(Metered { limits, class, counted }));
    }
    let metered = Metered { limits, class, counted: Counted::default() };
    request.extensions_mut().insert(metered.counted.clone());
    let who = client_address(request).map(counted);
    metered.take("address", class.per_address, &who)?;
    Ok(Some(metered))
}

impl Metered {
    /// Counts the request by the account that it turned out to come from.
    pub(super) fn account(&self, user: UserId) -> Result<(), Problem> {
        self.take("account", self.class.per_account, &user)
    }

    fn take(&self, by: &'static str, limit: Option<Limit>, who: &impl Hash) -> Result<(), Problem> {
        let Some(limit) = limit else { return Ok(()) };
        let class = self.class.name;
        let level = self.limits.flood.take(self.limits.clock.now(), &(class, by, who), limit);
        self.counted.0.borrow_mut().push(Count { class, by, limit, level });
        if level.allowed {
            return Ok(());
        }
        counter!("doorward_requests_limited_total", "class" => class, "by" => by).increment(1);
        let text = "Too many requests. Please wait before trying again.";
        Err(Error::limited("platform.too_many_requests", text).retry_after(level.seconds).into())
    }
}

/// Tells in the headers what was counted, and of a refusal by another limit what that one says.
pub(super) fn tell(request: Option<&HttpRequest>, refusal: Option<&Problem>, headers: &mut HeaderMap) {
    let counted = request.and_then(|request| request.extensions().get::<Counted>().cloned());
    let counts = counted.map(|counted| counted.0.take()).unwrap_or_default();
    let (mut left, mut policy) = (String::new(), String::new());
    for Count { class, by, limit, level } in &counts {
        separate(&mut left);
        separate(&mut policy);
        let _ = write!(left, "\"{class}.{by}\";r={};t={}", level.left, level.seconds);
        let _ = write!(policy, "\"{class}.{by}\";q={};w={}", limit.capacity, limit.window.as_secs());
    }
    let ours = counts.iter().any(|count| !count.level.allowed);
    if let Some((code, seconds)) = refusal.filter(|_| !ours).and_then(limited) {
        separate(&mut left);
        let _ = write!(left, "\"{code}\";r=0;t={seconds}");
    }
    for (name, text) in [(RATE_LIMIT, left), (POLICY, policy)] {
        if let Ok(value) = HeaderValue::from_str(&text)
            && !text.is_empty()
        {
            headers.insert(name, value);
        }
    }
}

fn separate(list: &mut String) {
    if !list.is_empty() {
        list.push_str(", ");
    }
}

/// A refusal because of a limit: which one, by its code, and for how many seconds.
fn limited(problem: &Problem) -> Option<(&str, u32)> {
    let plain = |code: &str| code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let limited = problem.error().kind == Kind::Limited && plain(problem.code());
    limited.then(|| (problem.code(), problem.retry_after().unwrap_or(1)))
}
