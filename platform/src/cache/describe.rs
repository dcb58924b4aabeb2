//! The names of what the shared caches count, and what the numbers mean.

use metrics::{describe_counter, describe_gauge};

pub(super) const PEERS: &str = "doorward_cache_peers";
pub(super) const IN_USE: &str = "doorward_cache_in_use";
pub(super) const LEASES_LOST: &str = "doorward_cache_leases_lost_total";
pub(super) const VISITS_FAILED: &str = "doorward_cache_lease_visits_failed_total";
pub(super) const EPOCHS: &str = "doorward_cache_epochs_total";
pub(super) const SUSPENSIONS: &str = "doorward_cache_suspensions_total";
pub(super) const HEARD: &str = "doorward_cache_changes_heard_total";
pub(super) const FAR_HITS: &str = "doorward_cache_shared_hits_total";
pub(super) const FAR_MISSES: &str = "doorward_cache_shared_misses_total";
pub(super) const FAR_KEPT: &str = "doorward_cache_shared_kept_total";

/// Tells the recorder what they are.
pub(super) fn tell() {
    describe_gauge!(PEERS, "Other replicas that use the same database, as this one sees it.");
    describe_gauge!(IN_USE, "Whether this replica answers from what it has kept: 1 or 0.");
    for (name, text) in [
        (LEASES_LOST, "Leases that ended before they were renewed."),
        (VISITS_FAILED, "Visits to the database for the lease that failed."),
        (
            EPOCHS,
            "Epochs that this replica began because it joined, reconnected to Redis or missed another one.",
        ),
        (
            SUSPENSIONS,
            "Changes, or bundles of them, of which not every replica heard: the slow way was taken.",
        ),
        (HEARD, "Bundles of changes of other replicas that were heard."),
        (FAR_HITS, "Reads that Redis answered."),
        (FAR_MISSES, "Reads that Redis was asked for in vain."),
        (FAR_KEPT, "Values that were put into Redis."),
    ] {
        describe_counter!(name, text);
    }
}
