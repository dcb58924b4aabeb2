//! What this machine can do at best, measured beside Doorward: a bare JSON answer, the raw hash, the raw commit.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpServer};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::Serialize;

use crate::folder::Folder;
use crate::sql::Sql;

/// The bare answer: a few fields, made into JSON for every request.
#[derive(Clone, Serialize)]
struct Answer {
    id: &'static str,
    email: &'static str,
    email_verified: bool,
    filler: String,
}

impl Answer {
    fn of_size(size: usize) -> Self {
        let id = "01a20440-eed4-7686-94f2-fa4e4dd06a5c";
        let answer = Self { id, email: "mia@example.org", email_verified: true, filler: String::new() };
        let rest = size.saturating_sub(serde_json::to_string(&answer).unwrap().len());
        Self { filler: "x".repeat(rest), ..answer }
    }
}

/// Serves a JSON answer of a size, and nothing else, until it is killed; prints where.
///
/// # Errors
/// When nothing can be served.
pub fn serve_bare(size: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let answer = Answer::of_size(size);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let app = move || {
            App::new()
                .app_data(Data::new(answer.clone()))
                .route("/", web::get().to(|answer: Data<Answer>| async move { Json((**answer).clone()) }))
        };
        HttpServer::new(app).workers(2).listen(listener)?.run().await
    })
}

/// The bare server in a process of its own.
pub(crate) struct Bare {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    pub(crate) fn start(size: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["bare", "--size", &size.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, address: line.trim().parse().unwrap() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many processors there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Argon2id hashes a second: 19 MiB, two passes, one lane, a thread a core, each of which uses its memory again.
pub(crate) fn hashes(time: Duration) -> f64 {
    let begun = Instant::now();
    let count: u32 = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(move || hash_until(begun + time))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn hash_until(end: Instant) -> u32 {
    let params = Params::new(19_456, 2, 1, Some(32)).unwrap();
    let mut memory = vec![Block::default(); params.block_count()];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut count = 0;
    while Instant::now() < end {
        let mut output = [0; 32];
        let salt = u128::from(count).to_be_bytes();
        argon
            .hash_password_into_with_memory(b"a password", &salt, &mut output, memory.as_mut_slice())
            .unwrap();
        count += 1;
    }
    count
}

/// Durable commits of one row a second, one after the other, on the disk of the temporary directory.
pub(crate) fn commits(time: Duration) -> f64 {
    let folder = Folder::new("commits");
    let mut sql = Sql::sqlite(&folder.path().join("raw.db"));
    sql.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE raw (id INTEGER PRIMARY KEY, at BLOB)");
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        sql.run("INSERT INTO raw (at) VALUES (randomblob(32))");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}
