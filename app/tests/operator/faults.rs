//! A disk that goes wrong while Doorward runs: it turns read-only, or it fails to write, or to keep what was written.
//!
//! A file system with open files can't be made read-only by asking, and no test may break a real one. So `strace` answers
//! the process's system calls as such a disk would, and is taken away again.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use platform::db::Database;
use reqwest::Method;
use serde_json::json;

use crate::TABLES;
use crate::client::{Ask, Person};
use crate::disk::{is_clean, readable, write};
use crate::house::{House, Shape, eventually};

/// Everything that changes a file on its disk.
const CHANGES: &str = "pwrite64,ftruncate,fallocate";

/// System calls that fail until this is dropped.
struct Fault(Child);

impl Fault {
    /// Has these calls of the running process fail with that error. None where nobody may trace; why is printed.
    async fn inject(house: &House, calls: &str, error: &str, when: &str) -> Option<Self> {
        let (pid, trace) = (house.pid().to_string(), format!("trace={calls}"));
        let inject = format!("inject={calls}:error={error}{when}");
        let mut strace = Command::new("strace");
        strace.args(["-q", "-f", "-o", "/dev/null", "-p", &pid, "-e", &trace, "-e", &inject]);
        let Ok(mut process) = strace.stderr(Stdio::piped()).spawn() else {
            eprintln!("skipped: strace is missing");
            return None;
        };
        let begun = Instant::now();
        while !all_traced(&pid) {
            if process.try_wait().unwrap().is_some() {
                eprintln!("skipped: strace may not trace here");
                return None;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "strace does not get hold of it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Some(Self(process))
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn all_traced(pid: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0")
    })
}

/// A house with what it acknowledged: the last number by preference.
struct Ledger {
    house: House,
    mia: Person,
    acknowledged: BTreeMap<usize, usize>,
    next: usize,
}

impl Ledger {
    async fn open() -> Self {
        let mut house = House::open(Shape::Embedded, &[]).await.unwrap();
        let mia = house.person("mia").await;
        let mut ledger = Self { house, mia, acknowledged: BTreeMap::new(), next: 0 };
        for _ in 0..10 {
            assert!(ledger.write().await, "nothing is wrong yet");
        }
        ledger
    }

    /// Writes the next number; whether that was acknowledged. If not, it was refused as it should be.
    async fn write(&mut self) -> bool {
        let number = self.next;
        self.next += 1;
        let answer = write(&self.mia, number).await;
        if answer.status < 300 {
            self.acknowledged.insert(number % 90, number);
            return true;
        }
        is_clean(&answer);
        false
    }

    async fn write_again(&mut self) {
        let begun = Instant::now();
        while !self.write().await {
            assert!(begun.elapsed() < Duration::from_secs(20), "it never takes writes again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn log_in(&self) -> u16 {
        let login = json!({ "email": self.mia.email, "password": self.mia.password });
        self.house.client().post("/api/v1/auth/logins", &login).await.status
    }

    /// What was acknowledged is there; what was refused may be, because nobody knows.
    async fn check(&self) {
        let mut client = self.house.client();
        client.access_token = self.mia.client.access_token.clone();
        for (place, number) in &self.acknowledged {
            let kept = client.get(&format!("/api/v1/users/me/preferences/space{place}")).await;
            let kept = kept.body["number"].as_u64();
            assert!(kept >= Some(*number as u64), "{number} was acknowledged, and there is {kept:?}");
        }
    }

    async fn inspect(&mut self) {
        assert!(self.house.stop().success());
        Database::inspect(self.house.database().settings(), &TABLES).await.unwrap();
        assert!(!self.house.log().contains("panicked"), "{}", self.house.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_takes_no_writes_and_goes_on_when_it_turns_back() {
    let mut ledger = Ledger::open().await;
    let Some(fault) = Fault::inject(&ledger.house, CHANGES, "EROFS", "").await else { return };
    for _ in 0..10 {
        assert!(!ledger.write().await, "a write can't succeed on a disk that is read-only");
    }
    assert_eq!(ledger.log_in().await, 503, "a login writes a session");
    let path = "/api/v1/users/me";
    let rename = Ask::new(Method::PATCH, path).body(&json!({ "display_name": "Mia M." }));
    is_clean(&ledger.mia.client.send(&rename).await);
    readable(&ledger.house, &ledger.mia).await;
    drop(fault);
    ledger.write_again().await;
    assert_eq!(ledger.log_in().await, 200);
    eventually("the profile to be changed", async || {
        (ledger.mia.client.send(&rename).await.status == 200).then_some(())
    })
    .await;
    ledger.check().await;
    ledger.inspect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_did_not_keep_is_never_acknowledged() {
    let mut ledger = Ledger::open().await;
    let Some(fault) = Fault::inject(&ledger.house, "fdatasync,fsync", "EIO", "").await else { return };
    for _ in 0..10 {
        assert!(!ledger.write().await, "a write that was not synced can't be acknowledged");
    }
    assert_eq!(ledger.log_in().await, 503);
    readable(&ledger.house, &ledger.mia).await;
    ledger.house.kill();
    drop(fault);
    ledger.house.start();
    ledger.mia = Person::log_in(&ledger.house.public, &ledger.mia.email, &ledger.mia.password).await;
    ledger.check().await;
    ledger.write_again().await;
    ledger.inspect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_now_and_then_loses_nothing_that_was_acknowledged() {
    let mut ledger = Ledger::open().await;
    for (calls, when) in
        [("pwrite64", ":when=3+7"), ("fdatasync,fsync", ":when=2+3"), ("pwrite64", ":when=1+2")]
    {
        let Some(fault) = Fault::inject(&ledger.house, calls, "EIO", when).await else { return };
        let mut refused = 0;
        for _ in 0..40 {
            refused += usize::from(!ledger.write().await);
        }
        assert!(refused > 0, "{calls}{when} never failed");
        ledger.house.kill();
        drop(fault);
        ledger.house.start();
        ledger.mia = Person::log_in(&ledger.house.public, &ledger.mia.email, &ledger.mia.password).await;
        ledger.check().await;
    }
    ledger.write_again().await;
    ledger.inspect().await;
}
