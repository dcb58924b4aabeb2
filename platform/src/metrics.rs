//! The numbers an operator watches: their names, and the text a scraper reads.
//!
//! Counting goes to one recorder per process, installed by [`install`]; without it counting does nothing, so tests
//! need no set-up. Left out: who may read them. Only the management listener shows them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "doorward_http_requests_total";
const SECONDS: &str = "doorward_http_request_seconds";
const BUILD: &str = "doorward_build_info";

/// Upper bounds in seconds. An Argon2id hash takes about 20 ms; a request is expected to end within 10 s.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The events that a cache counts, as the middle of `doorward_cache_…_total`.
const CACHE: [(&str, &str); 6] = [
    ("doorward_cache_hits_total", "Reads that the cache answered."),
    ("doorward_cache_misses_total", "Reads that had to ask the source."),
    ("doorward_cache_admissions_total", "Values that were kept because their key is asked for often."),
    ("doorward_cache_rejections_total", "Values that were not kept because their key was asked for once."),
    ("doorward_cache_invalidations_total", "Keys that were dropped because of a write."),
    ("doorward_cache_stale_loads_dropped_total", "Values that a write overtook while they were loaded."),
];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts counting in this process. Calling it again changes nothing.
///
/// Returns whether this crate's recorder is the one that counts; another one may have been installed before.
pub fn install() -> bool {
    HANDLE.get_or_init(start).is_some()
}

fn start() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .ok()?;
    let handle = builder.install_recorder().ok()?;
    describe_counter!(REQUESTS, "Requests answered, by method, route pattern and status.");
    describe_histogram!(SECONDS, Unit::Seconds, "Time to answer, by method and route pattern.");
    for (name, text) in CACHE {
        describe_counter!(name, text);
    }
    describe_gauge!(BUILD, "Always 1; the version is its label.");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}

/// All numbers in the Prometheus text format (version 0.0.4); empty before [`install`].
#[must_use]
pub fn render() -> String {
    HANDLE.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}

/// Lets the recorder fold what it collected; call it about every five seconds, else it grows.
pub fn upkeep() {
    if let Some(handle) = HANDLE.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}

/// What counts the requests of one kind.
struct Meter {
    method: &'static str,
    status: u16,
    count: Counter,
    seconds: Histogram,
}

thread_local! {
    /// By route. Looking a meter up by its labels costs more than counting; routes, methods and statuses are few.
    static METERS: RefCell<HashMap<String, Vec<Meter>>> = RefCell::default();
}

/// Counts one answered request.
pub(crate) fn http_request(method: &'static str, route: &str, status: u16, took: Duration) {
    let count = |meter: &Meter| {
        meter.count.increment(1);
        meter.seconds.record(took.as_secs_f64());
    };
    METERS.with_borrow_mut(|meters| {
        let known = meters.get(route).into_iter().flatten();
        if let Some(meter) = known.into_iter().find(|it| it.status == status && it.method == method) {
            return count(meter);
        }
        let meter = Meter {
            method,
            status,
            count: counter!(REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status.to_string()),
            seconds: histogram!(SECONDS, "method" => method, "route" => route.to_owned()),
        };
        count(&meter);
        // Before the recorder is there, a meter counts nothing for ever.
        if HANDLE.get().is_some() {
            meters.entry(route.to_owned()).or_default().push(meter);
        }
    });
}
