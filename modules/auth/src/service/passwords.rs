//! Hashing passwords, in a pool of its own.
//!
//! A hash costs 20 ms and 19 MiB on purpose, so it must neither run where requests are answered nor be started as
//! often as somebody likes. As many threads as cores, at the lowest priority, give the whole hash rate and leave
//! readers alone; a short queue bounds the wait; each thread keeps its memory while there is work. This is the only
//! room that names Argon2. `docs/decisions/0007-hash-pool.md` tells what was measured.

mod argon;
mod queue;
mod tune;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use contracts::Error as Shared;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::model::{ForeignHash, Password, PasswordHash};
use crate::settings::{HashPriority, HashSettings};
use argon::{Argon, Parameters, UNKNOWN};
use queue::{Job, Queue};
pub use tune::{TunedHash, tune_hash};

/// The pool. Dropping it ends its threads when they are done with what they are doing.
pub(crate) struct HashPool {
    queue: Arc<Queue>,
    parameters: Parameters,
    /// A hash that belongs to no password and costs what a real one does.
    dummy: PasswordHash,
}

impl HashPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// `platform.internal` when the settings are none for Argon2, or no thread can be started.
    pub(crate) fn start(settings: &HashSettings) -> Result<Self, Shared> {
        let parameters = Parameters::of(settings)?;
        let queue = Arc::new(Queue::new(settings.queue));
        let pool = Self { queue, dummy: parameters.dummy()?, parameters };
        for number in 0..threads(settings) {
            pool.start_thread(number, settings.priority)?;
        }
        Ok(pool)
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// 503 when too many are waiting already.
    pub(crate) async fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        let (parameters, password) = (self.parameters.clone(), password.clone());
        self.run(move |argon| argon.hash(&parameters, &password)).await
    }

    /// Whether the hash is that password's. Without a hash it takes as long and is false.
    ///
    /// # Errors
    /// 503 when too many are waiting already.
    pub(crate) async fn verify(
        &self,
        password: &Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, Error> {
        // One that nobody can check is as good as none; the account can be reset. The one of nobody is looked at like
        // any other, so that this takes as long.
        let is_there = hash.is_some();
        let stored = hash.unwrap_or_else(|| self.dummy.clone());
        let is_known = self.parameters.outdated(&stored) != Some(UNKNOWN);
        let (hash, password) = (if is_known { stored } else { self.dummy.clone() }, password.clone());
        let fits = self.run(move |argon| argon.verify(&hash, &password)).await?;
        Ok(fits && is_there && is_known)
    }

    /// A hash of this password as it would be made today, when the stored one (which fits it) was made otherwise. None
    /// when nothing is to be done, or when others need the threads more: there will be another login.
    pub(crate) async fn raise(&self, password: &Password, stored: &PasswordHash) -> Option<PasswordHash> {
        let from = self.parameters.outdated(stored)?;
        let raised = self.hash(password).await.ok()?;
        metrics::counter!("doorward_password_rehashes_total", "from" => from).increment(1);
        Some(raised)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Argon) -> Result<T, Shared> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon| {
            // The one who asked may have gone while this waited.
            if answer.is_closed() {
                return;
            }
            let started = Instant::now();
            let result = work(argon);
            metrics::histogram!("doorward_hash_seconds").record(started.elapsed());
            let _ = answer.send(result);
        });
        if !self.queue.push(job) {
            return Err(busy());
        }
        Ok(answered.await.map_err(|_| Shared::internal("a password hash was given up"))??)
    }

    /// A thread of the pool works until the pool is gone. It is started here and not among the workers because it
    /// belongs to this value: whoever has a pool has its threads.
    fn start_thread(&self, number: usize, priority: HashPriority) -> Result<(), Shared> {
        let queue = Arc::clone(&self.queue);
        let thread = std::thread::Builder::new().name(format!("hash-{number}"));
        let started = thread.spawn(move || {
            if priority == HashPriority::Idle {
                stand_back();
            }
            queue.work_off(Argon::default);
        });
        started.map(|_| ()).map_err(Shared::internal)
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// A hash that was made elsewhere, when this pool can compare passwords with it.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn imported(hash: &str) -> Result<PasswordHash, (&'static str, Cow<'static, str>)> {
    if ForeignHash::parse(hash).is_some() {
        return Ok(PasswordHash(hash.to_owned()));
    }
    Err(("unknown_format", "This is no password hash of a kind that is known here.".into()))
}

/// Refuses somebody because hashing can't keep up.
pub(super) fn busy() -> Error {
    metrics::counter!("doorward_hash_rejected_total").increment(1);
    Error::Busy
}

pub(super) fn threads(settings: &HashSettings) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    if settings.threads == 0 { cores() } else { settings.threads }
}

/// The system gives this thread what nobody else wants from here on. Elsewhere than on Linux it does not know how.
fn stand_back() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Normal(Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
            tracing::warn!(%error, "password hashing may not stand back behind everything else");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_stands_back_is_idle_to_the_system() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
        let thread = std::thread::Builder::new().spawn(|| {
            stand_back();
            thread_schedule_policy().unwrap()
        });
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(thread.unwrap().join().unwrap(), idle);
    }

    fn pool(threads: usize, queue: usize) -> HashPool {
        HashPool::start(&HashSettings { threads, queue, ..HashSettings::testing() }).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::typed(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let pool = pool(2, 10);
        let hash = pool.hash(&password("one")).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", hash.0);
        assert_ne!(pool.hash(&password("one")).await.unwrap(), hash, "each hash has a salt of its own");
        assert!(pool.verify(&password("one"), Some(hash.clone())).await.unwrap());
        assert!(!pool.verify(&password("One"), Some(hash)).await.unwrap());
        assert!(!pool.verify(&password("one"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_made_with_other_parameters_still_fits() {
        let settings = HashSettings { memory_kib: 64, iterations: 3, ..HashSettings::testing() };
        let hash = HashPool::start(&settings).unwrap().hash(&password("one")).await.unwrap();
        assert!(pool(1, 1).verify(&password("one"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let pool = pool(1, 2);
        let (started, wait_started) = oneshot::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let blocker = pool.run(move |_| {
            let _ = started.send(());
            let _ = wait.recv();
            Ok(())
        });
        let (first, second) = (password("one"), password("two"));
        let (hash_1, hash_2) = (pool.hash(&first), pool.hash(&second));
        let story = async {
            wait_started.await.unwrap();
            let mut waiting = Box::pin(async { tokio::join!(hash_1, hash_2) });
            assert!(futures_util::poll!(&mut waiting).is_pending());
            let refused = Shared::from(pool.hash(&password("three")).await.unwrap_err());
            assert_eq!((refused.code.as_ref(), refused.retry_after), ("auth.busy", Some(1)));
            go.send(()).unwrap();
            let (one, two) = waiting.await;
            assert!(one.is_ok() && two.is_ok());
        };
        let (blocked, ()) = tokio::join!(blocker, story);
        blocked.unwrap();
        assert!(pool.hash(&password("three")).await.is_ok());
    }

    #[tokio::test]
    async fn a_job_nobody_waits_for_is_skipped() {
        let pool = pool(1, 10);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut blocker = Box::pin(pool.run(move |_| {
            let _ = wait.recv();
            Ok(())
        }));
        assert!(futures_util::poll!(&mut blocker).is_pending());
        let ran = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let noted = Arc::clone(&ran);
        let mut given_up = Box::pin(pool.run(move |_| {
            noted.store(true, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        }));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        go.send(()).unwrap();
        blocker.await.unwrap();
        pool.hash(&password("after")).await.unwrap();
        assert!(!ran.load(std::sync::atomic::Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_costs_one_job_and_no_thread() {
        let pool = pool(1, 10);
        let error = Shared::from(pool.run::<()>(|_| panic!("a mistake")).await.unwrap_err());
        assert_eq!(error.kind, contracts::Kind::Internal);
        assert!(pool.hash(&password("one")).await.is_ok());
    }

    #[tokio::test]
    async fn a_dropped_pool_ends_its_threads() {
        let pool = pool(3, 10);
        pool.hash(&password("one")).await.unwrap();
        let queue = Arc::downgrade(&pool.queue);
        drop(pool);
        for _ in 0..500 {
            if queue.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} threads are still there", queue.strong_count());
    }

    #[test]
    fn parameters_that_are_none_are_refused() {
        assert!(HashPool::start(&HashSettings { memory_kib: 1, ..HashSettings::testing() }).is_err());
    }
}
