//! `doorward storage copy`: everything from one database into an empty one of the other engine, for the day on which one
//! process is not enough any more, or the day after.
//!
//! Sessions, refresh tokens, keys, queues and the audit trail come along: people don't notice. Left out: writing to both
//! meanwhile. Every process is stopped, and is started on the new database afterwards.

use std::fs;

use clap::Args;
use platform::db::{Database, DatabaseUrl, Settings as DatabaseSettings};

use crate::compose;
use crate::settings::Settings;
use crate::{StartError, data, say};

/// From where to where.
#[derive(Debug, Clone, Args)]
pub(crate) struct Move {
    /// The database to read, as `database.url` would name it, or @FILE with that; the configured one when absent
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The empty database to fill, in the same words
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Moves everything, and tells what arrived.
pub(crate) async fn copy(settings: &Settings, way: Move) -> Result<(), StartError> {
    let from = match way.from {
        Some(from) => named(settings, from)?,
        None => settings.database.clone(),
    };
    let to = named(settings, way.to)?;
    // Nobody serves from either of them meanwhile, as far as this machine can tell.
    let mut locks = Vec::new();
    for path in [&from, &to].into_iter().filter_map(|settings| settings.url.sqlite_path()) {
        if let Some(folder) = path.parent() {
            data::make(folder)?;
        }
        locks.push(data::lock(&path)?);
    }
    let arrived = Database::transfer(&from, &to, &compose::needed(settings), &compose::MIGRATIONS).await;
    let arrived = arrived.map_err(|error| StartError::because("Not everything was moved", error))?;
    for table in &arrived {
        say(&format!("{:<32} {:>10}  {}", table.table, table.rows, table.sha256))?;
    }
    let rows: u64 = arrived.iter().map(|table| table.rows).sum();
    say(&format!(
        "Everything has arrived: {rows} rows in {} tables, the same on both sides. Start Doorward with database.url set to \
         the new database, and with the same secrets.master_key and public_url.",
        arrived.len()
    ))
}

/// The database that a word names: a url, or @FILE with one, so that a password need not stand in the list of processes.
fn named(settings: &Settings, word: String) -> Result<DatabaseSettings, StartError> {
    let url = match word.strip_prefix('@') {
        None => word,
        Some(file) => {
            let text = fs::read_to_string(file);
            text.map_err(|error| StartError::because(&format!("{file} can't be read"), error))?
                .trim()
                .to_owned()
        }
    };
    Ok(DatabaseSettings { url: DatabaseUrl::from(url), ..settings.database.clone() })
}
