//! A copy of a SQLite database, made while others write, and what can be told of a copy before it is used.
//!
//! Left out: PostgreSQL, which brings `pg_dump` and more; and where copies are kept.

use std::path::Path;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use super::conn::DbConn;
use super::database::Database;
use super::error::{Error, Result};
use super::migrate::{Migrations, applied, in_order, refuse_newer};
use super::settings::{Settings, Target};
use super::sqlite::{Purpose, SqliteLink};

#[derive(QueryableByName)]
struct Told {
    #[diesel(sql_type = Text)]
    told: String,
}

impl Database {
    /// Copies the SQLite database of these settings as it is at one instant, into a file that is empty or missing.
    /// Whoever reads or writes goes on meanwhile. The copy is one file, and not yet known to be on the disk.
    ///
    /// # Errors
    /// [`Error::Setup`] when the settings name no SQLite database or the path can't be written in SQL;
    /// [`Error::Unavailable`] when the disk does not take it.
    pub async fn copy(settings: &Settings, to: &Path) -> Result<()> {
        let unwritable = || Error::Setup("The path of a copy must be UTF-8 without NUL.".to_owned());
        let to = to.to_str().filter(|path| !path.contains('\0')).ok_or_else(unwritable)?;
        let quoted = to.replace('\'', "''");
        open(settings, Purpose::Write).await?.batch(&format!("VACUUM INTO '{quoted}'")).await
    }

    /// Looks through the SQLite database of these settings: whether the file is whole, rows point at rows, and no newer
    /// program made it. Nothing is changed in it. Tells its latest migration.
    ///
    /// # Errors
    /// [`Error::Setup`] with a sentence that tells what is wrong.
    pub async fn inspect(settings: &Settings, migrations: &[Migrations]) -> Result<String> {
        let connection = &mut open(settings, Purpose::Inspect).await?;
        let whole: Vec<Told> =
            diesel::sql_query("SELECT integrity_check AS told FROM pragma_integrity_check")
                .load(connection)
                .await
                .map_err(|_| damaged())?;
        if let Some(wrong) = whole.iter().find(|row| row.told != "ok") {
            return Err(Error::Setup(format!("The file is damaged: {}.", wrong.told)));
        }
        let dangling: Vec<Told> =
            diesel::sql_query("SELECT \"table\" AS told FROM pragma_foreign_key_check LIMIT 1")
                .load(connection)
                .await
                .map_err(|_| damaged())?;
        if let [row, ..] = dangling.as_slice() {
            return Err(Error::Setup(format!("Rows of the table {} point at nothing.", row.told)));
        }
        let applied = applied(connection).await.map_err(|_| damaged())?;
        refuse_newer(&applied, &in_order(migrations))?;
        let latest = applied.into_iter().next_back();
        latest.ok_or_else(|| Error::Setup("The file holds no tables of Doorward.".to_owned()))
    }
}

fn damaged() -> Error {
    Error::Setup("The file is damaged, or it is no database of Doorward.".to_owned())
}

async fn open(settings: &Settings, purpose: Purpose) -> Result<DbConn> {
    let Target::Sqlite(path) = settings.url.target()? else {
        return Err(Error::Setup("Only a SQLite database is copied here.".to_owned()));
    };
    if !path.is_file() {
        return Err(Error::Setup(format!("There is no database at {}.", path.display())));
    }
    Ok(DbConn::sqlite(SqliteLink::open(&path, settings, purpose).await?))
}
