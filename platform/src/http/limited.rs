//! How often an operation may be called, by client address and by account: in this process, and over all processes where
//! there is a Redis.
//!
//! Which operation belongs to which class is a table that the application makes; here it is looked up after routing, so
//! that no spelling of a path gets around it. Answers of limited operations tell what is left (`RateLimit` and
//! `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers). Left out: limits that guard secrets; those who own the
//! secrets count them in the database.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
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
use crate::limits::{Flood, Global, Level, Limit};

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
    global: Option<Global>,
    methods: Vec<Method>,
    classes: HashMap<String, Vec<(Method, LimitClass)>>,
}

impl Limits {
    /// No limited operation yet; `buckets` is how many clients and accounts are told apart, at 16 bytes each.
    #[must_use]
    pub fn new(clock: Clock, buckets: usize) -> Self {
        let flood = Flood::new(buckets);
        Self { clock, flood, global: None, methods: Vec::new(), classes: HashMap::new() }
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

    /// The same, counted over all processes as well.
    #[must_use]
    pub fn over_all_processes(self, global: Global) -> Self {
        Self { global: Some(global), ..self }
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

/// A request that was counted by its address here; it may have to be counted over all processes, and by its account.
pub(super) struct Metered {
    limits: web::Data<Limits>,
    class: LimitClass,
    counted: Counted,
    /// By which address it is still to be counted over all processes.
    address: Option<Option<IpAddr>>,
}

/// Counts a request by its address, once, in this process; none when its operation is not limited.
pub(super) fn meter(request: &HttpRequest) -> Result<Option<Metered>, Problem> {
    let Some(limits) = request.app_data::<web::Data<Limits>>().cloned() else { return Ok(None) };
    let Some(class) = limits.class_of(request) else { return Ok(None) };
    if let Some(counted) = request.extensions().get::<Counted>().cloned() {
        return Ok(Some(Metered { limits, class, counted, address: None }));
    }
    let mut metered = Metered { limits, class, counted: Counted::default(), address: None };
    request.extensions_mut().insert(metered.counted.clone());
    let who = client_address(request).map(counted);
    metered.take_here("address", class.per_address, Who::Address(who))?;
    metered.address = (metered.limits.global.is_some() && class.per_address.is_some()).then_some(who);
    Ok(Some(metered))
}

/// Who is counted.
#[derive(Clone, Copy, Debug, Hash)]
enum Who {
    Address(Option<IpAddr>),
    Account(UserId),
}

impl Metered {
    /// Whether it is still to be counted over all processes by its address.
    pub(super) fn is_open(&self) -> bool {
        self.address.is_some()
    }

    /// Counts the request by its address over all processes.
    pub(super) async fn address(&self) -> Result<(), Problem> {
        let Some(who) = self.address else { return Ok(()) };
        self.take_everywhere("address", self.class.per_address, Who::Address(who)).await
    }

    /// Counts the request by the account that it turned out to come from.
    pub(super) async fn account(&self, user: UserId) -> Result<(), Problem> {
        self.take_here("account", self.class.per_account, Who::Account(user))?;
        self.take_everywhere("account", self.class.per_account, Who::Account(user)).await
    }

    fn take_here(&self, by: &'static str, limit: Option<Limit>, who: Who) -> Result<(), Problem> {
        let Some(limit) = limit else { return Ok(()) };
        let class = self.class.name;
        let level = self.limits.flood.take(self.limits.clock.now(), &(class, by, who), limit);
        self.counted.0.borrow_mut().push(Count { class, by, limit, level });
        self.judge(by, level)
    }

    async fn take_everywhere(&self, by: &'static str, limit: Option<Limit>, who: Who) -> Result<(), Problem> {
        let (Some(limit), Some(global)) = (limit, &self.limits.global) else { return Ok(()) };
        let name = match who {
            Who::Address(address) => address.map(|address| address.to_string()).unwrap_or_default(),
            Who::Account(user) => user.to_string(),
        };
        let who = [self.class.name.as_bytes(), by.as_bytes(), name.as_bytes()];
        // Without an answer, what was counted here is all that is known.
        let Some(level) = global.take("flood", &who, limit).await else { return Ok(()) };
        if let Some(count) = self.counted.0.borrow_mut().iter_mut().find(|count| count.by == by) {
            count.level = level;
        }
        self.judge(by, level)
    }

    fn judge(&self, by: &'static str, level: Level) -> Result<(), Problem> {
        if level.allowed {
            return Ok(());
        }
        counter!("doorward_requests_limited_total", "class" => self.class.name, "by" => by).increment(1);
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
