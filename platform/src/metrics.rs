//! The numbers an operator watches: their names, and the text a scraper reads.
//!
//! Counting goes to one recorder per process, installed by [`install`]; without it counting does nothing, so tests
//! need no set-up. Left out: who may read them. Only the management listener shows them.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "doorward_http_requests_total";
const SECONDS: &str = "doorward_http_request_seconds";

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

/// Counts one answered request.
pub(crate) fn http_request(method: &'static str, route: String, status: u16, took: Duration) {
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    histogram!(SECONDS, "method" => method, "route" => route).record(took.as_secs_f64());
}
