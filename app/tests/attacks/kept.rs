//! Everything that a house keeps, wherever that is, as bytes to be searched.

use std::path::Path;
use std::process::Command;

use testkit::databases::Engine;

use crate::house::House;

/// Everything that all processes keep, by where it is kept: folders, databases, and what they have in Redis.
pub async fn kept(house: &House) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for process in house.processes() {
        read_all(process.data(), &mut all);
        let database = process.database();
        match database.engine() {
            Engine::Sqlite => {
                let file = Path::new(database.url().trim_start_matches("sqlite:"));
                read_all(file.parent().unwrap(), &mut all);
            }
            Engine::Postgres => all.push(("the dump".to_owned(), dump(database.url()))),
        }
    }
    all.extend(shared(house).await);
    all
}

/// What processes have in Redis, where they share one.
pub async fn shared(house: &House) -> Vec<(String, Vec<u8>)> {
    match house.shared() {
        Some((url, prefix)) => testkit::redis::contents(url, prefix).await,
        None => Vec::new(),
    }
}

/// Every file in a folder and the folders in it.
fn read_all(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// A whole PostgreSQL database as text.
fn dump(url: &str) -> Vec<u8> {
    let done = Command::new("pg_dump").arg("--inserts").arg(url).output().expect("pg_dump runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
