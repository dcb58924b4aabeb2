//! A way into the database beside Doorward: to fill it, and to look whether everything is there.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::Engine;

pub(crate) enum Sql {
    Sqlite(Box<SqliteConnection>),
    Postgres(Runtime, Box<tokio_postgres::Client>),
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    j: String,
}

impl Sql {
    pub(crate) fn sqlite(file: &Path) -> Self {
        let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 20000; PRAGMA foreign_keys = ON;").unwrap();
        Self::Sqlite(Box::new(connection))
    }

    pub(crate) fn postgres(url: &str) -> Self {
        let runtime = crate::runtime();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self::Postgres(runtime, Box::new(client))
    }

    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(..) => Engine::Postgres,
        }
    }

    /// What differs between the two.
    pub(crate) fn either<T>(&self, sqlite: T, postgres: T) -> T {
        match self.engine() {
            Engine::Sqlite => sqlite,
            Engine::Postgres => postgres,
        }
    }

    /// An id's column as text, as it stands in JSON.
    pub(crate) fn id(&self, column: &str) -> String {
        let hex = format!("lower(hex({column}))");
        let part = |from: u8, length: u8| format!("substr({hex}, {from}, {length})");
        let parts = [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)];
        self.either(parts.join(" || '-' || "), format!("{column}::text"))
    }

    /// Runs statements that give nothing back.
    pub(crate) fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(connection) => connection.batch_execute(sql).map_err(|error| error.to_string()),
            Self::Postgres(runtime, client) => {
                runtime.block_on(client.batch_execute(sql)).map_err(|error| format!("{error:?}"))
            }
        }
    }

    /// `SELECT columns rest`, every row as a list.
    pub(crate) fn rows(&mut self, columns: &str, rest: &str) -> Vec<Vec<Value>> {
        let texts: Vec<String> = match self {
            Self::Sqlite(connection) => {
                let sql = format!("SELECT json_array({columns}) AS j {rest}");
                let rows: Vec<Row> = sql_query(&sql).load(connection.as_mut()).unwrap_or_else(|error| {
                    panic!("{error}\n{sql}");
                });
                rows.into_iter().map(|row| row.j).collect()
            }
            Self::Postgres(runtime, client) => {
                let sql = format!("SELECT json_build_array({columns})::text AS j {rest}");
                let rows = runtime.block_on(client.query(&sql, &[]));
                let rows = rows.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
                rows.iter().map(|row| row.get(0)).collect()
            }
        };
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// One text a row.
    pub(crate) fn texts(&mut self, column: &str, rest: &str) -> Vec<String> {
        let rows = self.rows(column, rest);
        rows.into_iter().map(|row| row[0].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// One number.
    pub(crate) fn number(&mut self, column: &str, rest: &str) -> i64 {
        self.rows(column, rest)[0][0].as_i64().unwrap_or_default()
    }
}

/// Whether there is such a table.
pub(crate) fn has_table(sql: &mut Sql, name: &str) -> bool {
    let rest = sql.either(
        format!("FROM sqlite_master WHERE type = 'table' AND name = '{name}'"),
        format!("FROM pg_tables WHERE schemaname = 'public' AND tablename = '{name}'"),
    );
    sql.number("count(*)", &rest) > 0
}
