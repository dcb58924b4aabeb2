//! Durability of the embedded database, counted: how often the process told the disk to keep what it wrote.
//!
//! Killing a process doesn't prove this, because what it wrote outlives it in the system's memory; a power cut would
//! show it. Counting the system calls is the nearest that can be had without one.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use crate::client::Ask;
use crate::house::{House, Shape, eventually};

const COMMITS: usize = 60;

/// How many syncs it took to acknowledge so many changes, one after the other, start and stop included.
async fn syncs(synchronous: &str) -> Option<usize> {
    let mut house = House::open(Shape::Embedded, &[("DOORWARD__DATABASE__SYNCHRONOUS", synchronous)]).await?;
    let mia = house.person("mia").await;
    assert!(house.stop().success());
    let counts = house.data().join("syncs").to_str().unwrap().to_owned();
    let calls = "trace=fsync,fdatasync";
    house.within(&["strace", "-D", "-f", "--seccomp-bpf", "-c", "-o", &counts, "-e", calls]);
    house.start();
    let mut client = house.client();
    client.access_token = mia.client.access_token.clone();
    for number in 0..COMMITS {
        let ask =
            Ask::new(Method::PUT, "/api/v1/users/me/preferences/counter").body(&json!({ "number": number }));
        assert!(client.send(&ask).await.status < 300);
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
    let (full, normal) = (syncs("full").await.unwrap(), syncs("normal").await.unwrap());
    assert!(full >= COMMITS, "{full} syncs for {COMMITS} commits");
    assert!(normal < COMMITS / 2, "{normal} syncs: what is counted here does not come from commits");
}
