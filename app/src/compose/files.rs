//! `doorward config check`: everything about settings that can be seen without asking anybody. Their ranges and what belongs
//! together were looked at when they were read; here the files are read that they name.
//!
//! Left out: whether a database, a broker, Redis or a mail server answers, and what is in a database.

use platform::bus::RabbitBus;
use platform::clock::Clock;
use platform::db::Database;
use platform::redis::Redis;

use super::far::Far;
use crate::settings::Settings;
use crate::tls::certificates;
use crate::{StartError, say};

/// Reads the files as a start would, and tells that they are fit.
pub(crate) async fn look_over(settings: &Settings) -> Result<(), StartError> {
    settings.server.management.tls.server()?;
    if settings.database.url.sqlite_path().is_none() {
        // Gets ready and connects to nobody. A file of SQLite would be made.
        let unusable = |error| StartError::caused("The database can't be used", &error);
        Database::open(&settings.database).await.map_err(unusable)?;
    }
    Redis::open(&settings.redis).map_err(|error| StartError(error.to_string()))?;
    if !settings.redis.ca_file.is_empty() {
        certificates("redis.ca_file", &settings.redis.ca_file)?;
    }
    if settings.rabbitmq.is_set() {
        RabbitBus::look_over(&settings.rabbitmq).map_err(|error| StartError(error.to_string()))?;
    }
    if !settings.has_every_module() {
        let unfit = |error: contracts::Error| StartError::caused("Peers can't be asked", &error);
        Far::new(settings, &settings.master_key()?, &Clock::system()).map_err(unfit)?;
    }
    if !settings.smtp.ca_file.as_os_str().is_empty() {
        certificates("smtp.ca_file", &settings.smtp.ca_file)?;
    }
    say("The settings are fit for use. Whether the database and everybody else answers is seen at the start.")
}
