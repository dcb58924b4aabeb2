//! Closed-loop load: so many connections, each of which asks again as soon as it has its answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::http::{Connection, Seen};

/// Writes the next request of a connection, having seen the last answer. What was written stays until it is changed.
pub(crate) type Next = Box<dyn FnMut(&Seen<'_>, &mut Vec<u8>) + Send>;

/// A connection that asks for the same thing again and again.
pub(crate) fn same(request: Vec<u8>) -> Next {
    Box::new(move |_, out| {
        if out.is_empty() {
            out.extend_from_slice(&request);
        }
    })
}

pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// The status that counts; every other one is noted.
    pub(crate) expected: u16,
    pub(crate) time: Duration,
    pub(crate) threads: usize,
    /// How long a connection waits after a 503.
    pub(crate) pause: Duration,
}

#[derive(Default)]
pub(crate) struct Outcome {
    /// In microseconds, sorted.
    latencies: Vec<u32>,
    /// Those of 503s, in microseconds, sorted; and how many of them said when to come back.
    refused: Vec<u32>,
    pub(crate) told_when: usize,
    pub(crate) others: BTreeMap<u16, u64>,
    seconds: f64,
}

impl Outcome {
    /// How many answers were those that count.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.seconds
    }

    pub(crate) fn milliseconds(&self, part: f64) -> f64 {
        percentile(&self.latencies, part)
    }

    pub(crate) fn refusals(&self) -> usize {
        self.refused.len()
    }

    pub(crate) fn refused_milliseconds(&self, part: f64) -> f64 {
        percentile(&self.refused, part)
    }

    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.refused.extend(other.refused);
        self.told_when += other.told_when;
        for (status, count) in other.others {
            *self.others.entry(status).or_default() += count;
        }
    }
}

fn percentile(sorted: &[u32], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
}

/// Runs the load; the connections are spread over threads. Gives back what the connections know, for the next run.
pub(crate) fn drive(load: &Load, scripts: Vec<Next>) -> (Outcome, Vec<Next>) {
    let mut parts: Vec<Vec<Next>> = (0..load.threads.max(1)).map(|_| Vec::new()).collect();
    let count = parts.len();
    for (number, script) in scripts.into_iter().enumerate() {
        parts[number % count].push(script);
    }
    let begun = Instant::now();
    let done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| one_thread(load, part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut sum = Outcome::default();
    let mut back = Vec::new();
    for (outcome, scripts) in done {
        sum.merge(outcome);
        back.extend(scripts);
    }
    sum.seconds = begun.elapsed().as_secs_f64();
    sum.latencies.sort_unstable();
    sum.refused.sort_unstable();
    if !sum.others.is_empty() {
        eprintln!("bench: unexpected answers, by status: {:?}", sum.others);
    }
    (sum, back)
}

fn one_thread(load: &Load, scripts: Vec<Next>) -> (Outcome, Vec<Next>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let end = Instant::now() + load.time;
        let mut tasks = JoinSet::new();
        let (address, expected, pause) = (load.address, load.expected, load.pause);
        for script in scripts {
            tasks.spawn(one_connection(address, expected, pause, end, script));
        }
        let mut sum = Outcome::default();
        let mut back = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (outcome, script) = done.unwrap();
            sum.merge(outcome);
            back.push(script);
        }
        (sum, back)
    })
}

async fn one_connection(
    address: SocketAddr,
    expected: u16,
    pause: Duration,
    end: Instant,
    mut script: Next,
) -> (Outcome, Next) {
    let mut outcome = Outcome::default();
    let mut connection = Connection::open(address).await.expect("a server to measure");
    let mut request = Vec::new();
    script(&Seen::default(), &mut request);
    let mut begun = Instant::now();
    while begun < end {
        let seen = connection.exchange(&request).await.expect("an answer");
        let now = Instant::now();
        let micros = (now - begun).as_micros() as u32;
        begun = now;
        if seen.status == expected {
            outcome.latencies.push(micros);
        } else if seen.status == 503 {
            outcome.refused.push(micros);
            outcome.told_when += usize::from(seen.has_header("retry-after"));
            tokio::time::sleep(pause).await;
            begun = Instant::now();
        } else {
            *outcome.others.entry(seen.status).or_default() += 1;
        }
        script(&seen, &mut request);
    }
    (outcome, script)
}
