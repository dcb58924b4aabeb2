//! Durability of the embedded database, counted: how often the process told the disk to keep what it wrote.
//!
//! Killing a process doesn't prove this, because what it wrote outlives it in the system's memory; a power cut would
//! show it. Counting the system calls is the nearest that can be had without one.

use std::process::Command;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::client::Ask;
use crate::house::{House, Shape, eventually};

const COMMITS: usize = 60;

/// How many syncs it took to acknowledge so many changes, so many of them at once, start and stop included.
async fn syncs(synchronous: &str, at_once: usize) -> Option<usize> {
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__DATABASE__SYNCHRONOUS", synchronous)]).await?;
    let mia = house.person("mia").await;
    assert!(house.stop().success());
    let counts = house.data().join("syncs").to_str().unwrap().to_owned();
    let calls = "trace=fsync,fdatasync";
    house.within(&["strace", "-D", "-f", "--seccomp-bpf", "-c", "-o", &counts, "-e", calls]);
    house.start();
    let mut client = house.client();
    client.access_token = mia.client.access_token.clone();
    for round in 0..COMMITS / at_once {
        let change = async |number: usize| {
            let path = format!("/api/v1/users/me/preferences/counter{number}");
            client.send(&Ask::new(Method::PUT, &path).body(&json!({ "round": round }))).await.status
        };
        assert!(join_all((0..at_once).map(change)).await.iter().all(|status| *status < 300));
    }
    assert!(house.stop().success());
    let table = eventually("the counts", async || {
        std::fs::read_to_string(&counts).ok().filter(|text| text.contains("total"))
    })
    .await;
    let of = |line: &str| line.split_whitespace().nth(3).and_then(|count| count.parse::<usize>().ok());
    let counted = table.lines().filter(|line| line.ends_with("sync")).filter_map(of);
    Some(counted.sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_commit_was_synced_to_the_disk() {
    let traced = Command::new("strace").args(["-f", "--seccomp-bpf", "-e", "trace=fsync", "true"]).output();
    if !traced.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: strace is missing, or may not trace here");
        return;
    }
    let (full, normal) = (syncs("full", 1).await.unwrap(), syncs("normal", 1).await.unwrap());
    assert!(full >= COMMITS, "{full} syncs for {COMMITS} commits");
    let together = syncs("full", COMMITS / 2).await.unwrap();
    assert!(
        together < full / 2,
        "{together} syncs for changes at once, {full} for as many one after the other"
    );
    assert!(normal < COMMITS / 2, "{normal} syncs: what is counted here does not come from commits");
}
