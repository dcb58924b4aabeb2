//! The cache: what it keeps, whom it asks how often, and that no write is ever overtaken by an older read.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use platform::cache::{Cache, Settings};
use proptest::prelude::*;
use tokio::sync::Notify;

fn cache<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::new("test", &Settings::default())
}

/// A source that counts how often it was asked.
#[derive(Default)]
struct Source {
    value: AtomicUsize,
    loads: AtomicUsize,
}

impl Source {
    async fn load(&self) -> Result<usize, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(self.value.load(Ordering::SeqCst))
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_is_asked_for_once_is_not_kept_and_what_is_asked_for_again_is() {
    let (cache, source) = (cache::<u32, usize>(), Source::default());
    for key in 0..1_000 {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    assert_eq!(source.loads(), 1_000);
    for key in 0..1_000 {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    assert!(source.loads() >= 1_995, "nothing of the first round was kept: {}", source.loads());
    for key in 0..1_000 {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    assert!(source.loads() <= 2_000, "everything of the second round was: {}", source.loads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_ask_at_once_are_one_load() {
    let (cache, source) = (cache::<&str, usize>(), Arc::<Source>::default());
    let gate = Arc::new(Notify::new());
    let asks = (0..100).map(|_| {
        let (cache, source, gate) = (cache.clone(), source.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async {
                gate.notified().await;
                source.load().await
            };
            cache.get_or_load(&"key", load).await.unwrap()
        })
    });
    let asks: Vec<_> = asks.collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    gate.notify_one();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 0);
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_read_that_was_on_its_way_does_not_bring_back_the_old_value() {
    let (cache, source) = (cache::<&str, usize>(), Source::default());
    let (read_old, go_on) = (Notify::new(), Notify::new());
    let slow = cache.get_or_load(&"key", || async {
        let old = source.load().await;
        read_old.notify_one();
        go_on.notified().await;
        old
    });
    let write = async {
        read_old.notified().await;
        source.value.store(1, Ordering::SeqCst);
        cache.invalidate(&"key").await;
        // The write is acknowledged from here on.
        assert_eq!(cache.get_or_load(&"key", || source.load()).await, Ok(1));
        go_on.notify_one();
    };
    let (old, ()) = tokio::join!(slow, write);
    assert_eq!(old, Ok(0), "it asked before the write");
    for _ in 0..3 {
        assert_eq!(cache.get_or_load(&"key", || source.load()).await, Ok(1));
    }
}

#[tokio::test]
async fn forgetting_everything_beats_a_read_on_its_way_as_well() {
    let (cache, source) = (cache::<&str, usize>(), Source::default());
    for _ in 0..3 {
        cache.get_or_load(&"key", || source.load()).await.unwrap();
    }
    let (read_old, go_on) = (Notify::new(), Notify::new());
    let slow = cache.get_or_load(&"other", || async {
        let old = source.load().await;
        read_old.notify_one();
        go_on.notified().await;
        old
    });
    let write = async {
        read_old.notified().await;
        source.value.store(1, Ordering::SeqCst);
        cache.invalidate_all().await;
        go_on.notify_one();
    };
    let _ = tokio::join!(slow, write);
    for key in ["key", "other", "key", "other", "key", "other"] {
        assert_eq!(cache.get_or_load(&key, || source.load()).await, Ok(1));
    }
}

/// Readers and writers of a few keys on several threads: after a writer has invalidated, nobody reads less than it
/// wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_goes_back_behind_an_acknowledged_write() {
    const KEYS: usize = 3;
    let cache = cache::<usize, usize>();
    let stored: Arc<[AtomicUsize; KEYS]> = Arc::default();
    let acknowledged: Arc<[AtomicUsize; KEYS]> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16_usize {
        let (cache, stored, acknowledged) = (cache.clone(), stored.clone(), acknowledged.clone());
        tasks.spawn(async move {
            for round in 0..800_usize {
                let key = (task + round) % KEYS;
                if task < 4 {
                    let written = stored[key].fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::task::yield_now().await;
                    cache.invalidate(&key).await;
                    acknowledged[key].fetch_max(written, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                } else {
                    let at_least = acknowledged[key].load(Ordering::SeqCst);
                    let load = || async {
                        let value = stored[key].load(Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok::<_, Infallible>(value)
                    };
                    let read = cache.get_or_load(&key, load).await.unwrap();
                    assert!(read >= at_least, "read {read} after {at_least} was acknowledged");
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn an_error_is_told_and_not_kept() {
    let cache = cache::<&str, usize>();
    for _ in 0..3 {
        assert_eq!(cache.get_or_load(&"key", || async { Err::<usize, _>("down") }).await, Err("down"));
    }
    for _ in 0..3 {
        assert_eq!(cache.get_or_load(&"key", || async { Ok::<_, &str>(7) }).await, Ok(7));
    }
    assert_eq!(cache.get_or_load(&"key", || async { Err("not asked") }).await, Ok(7));
}

#[tokio::test]
async fn whoever_waited_for_one_that_failed_or_gave_up_asks_himself() {
    let cache = cache::<&str, usize>();
    let started = Notify::new();
    let hanging = cache.get_or_load(&"key", || async {
        started.notify_one();
        std::future::pending::<Result<usize, Infallible>>().await
    });
    let waiting = async {
        started.notified().await;
        cache.get_or_load(&"key", || async { Ok::<_, Infallible>(7) }).await
    };
    let hanging = tokio::time::timeout(std::time::Duration::from_millis(50), hanging);
    let (gave_up, value) = tokio::join!(hanging, waiting);
    assert!(gave_up.is_err());
    assert_eq!(value, Ok(7));
    assert_eq!(cache.get_or_load(&"key", || async { Err("kept, as it was asked for twice") }).await, Ok(7));
}

#[tokio::test]
async fn a_cache_that_is_off_asks_every_time() {
    let off = Settings { enabled: false, ..Settings::default() };
    for cache in [Cache::off(), Cache::new("test", &off)] {
        let source = Source::default();
        for _ in 0..5 {
            cache.get_or_load(&"key", || source.load()).await.unwrap();
            cache.invalidate(&"key").await;
            cache.invalidate_all().await;
        }
        assert_eq!(source.loads(), 5);
    }
}

#[tokio::test]
async fn a_small_cache_stays_small() {
    let small = Settings { max_entries: 16, ..Settings::default() };
    let (cache, source) = (Cache::<u32, usize>::new("test", &small), Source::default());
    for key in (0..10_000).flat_map(|key| [key, key, key]) {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    let before = source.loads();
    for key in 0..9_000 {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    assert!(source.loads() - before >= 8_000, "{}", source.loads() - before);
}

#[tokio::test]
async fn what_a_cache_does_is_counted() {
    assert!(platform::metrics::install());
    let (cache, source) = (Cache::<&str, usize>::new("counted", &Settings::default()), Source::default());
    for _ in 0..4 {
        cache.get_or_load(&"key", || source.load()).await.unwrap();
    }
    let overtaken = cache.get_or_load(&"other", || async {
        cache.invalidate(&"other").await;
        source.load().await
    });
    overtaken.await.unwrap();
    let text = platform::metrics::render();
    for (event, count) in [
        ("hits", 2),
        ("misses", 3),
        ("admissions", 1),
        ("rejections", 1),
        ("invalidations", 1),
        ("stale_loads_dropped", 1),
    ] {
        let line = format!("doorward_cache_{event}_total{{cache=\"counted\"}} {count}\n");
        assert!(text.contains(&line), "{line} in:\n{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// With and without the cache the answers are equal, for keys that would look alike when joined.
    #[test]
    fn keys_that_join_equally_are_different(
        parts in proptest::collection::vec(("[ab:#@|,/%]{0,3}", "[ab:#@|,/%]{0,3}"), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (on, off) = (cache::<(String, String), String>(), Cache::off());
            for key in parts.iter().cycle().take(90) {
                let load = || async { Ok::<_, Infallible>(format!("{key:?}")) };
                assert_eq!(on.get_or_load(key, load).await, off.get_or_load(key, load).await);
            }
        });
    }
}
