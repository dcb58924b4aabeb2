//! The queries of the scan, on both engines.

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use platform::db::{Database, Db};

#[derive(QueryableByName)]
#[diesel(check_for_backend(Db))]
pub(super) struct Place {
    #[diesel(sql_type = Text)]
    pub(super) table: String,
    #[diesel(sql_type = Text)]
    pub(super) column: String,
}

#[derive(QueryableByName)]
#[diesel(check_for_backend(Db))]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Every column of every table.
pub(super) async fn columns(db: &Database) -> Vec<Place> {
    let query = match db.dialect() {
        Db::Postgres => {
            "SELECT table_name::text AS \"table\", column_name::text AS \"column\" \
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
        Db::Sqlite => {
            "SELECT m.name AS \"table\", c.name AS \"column\" \
             FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        }
    };
    sql_query(query).load(&mut *db.read().await.unwrap()).await.unwrap()
}

/// Whether a column holds the text or its hexadecimal digits.
pub(super) async fn holds(db: &Database, place: &Place, text: &str, hex: &str) -> bool {
    let Place { table, column } = place;
    let holds = match db.dialect() {
        Db::Postgres => format!(
            "position(lower($1) IN lower(\"{column}\"::text)) > 0 OR position($2 IN \"{column}\"::text) > 0"
        ),
        Db::Sqlite => format!(
            "instr(lower(CAST(\"{column}\" AS TEXT)), lower($1)) > 0 OR instr(lower(hex(\"{column}\")), $2) > 0"
        ),
    };
    let query = sql_query(format!("SELECT count(*) AS n FROM \"{table}\" WHERE {holds}"));
    let query = query.bind::<Text, _>(text).bind::<Text, _>(hex);
    let count: Count = query.get_result(&mut *db.read().await.unwrap()).await.unwrap();
    count.n > 0
}
