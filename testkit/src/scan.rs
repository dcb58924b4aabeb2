//! Looking for something in a whole database: what must be nowhere, such as the address of a person who is gone.

mod store;

use platform::db::Database;

use crate::databases::{Engine, TestDatabase};

/// Where a text stands, as `table.column`, whatever the type of the column, in whatever case, and also in hexadecimal
/// digits. Every table that there is is looked at.
pub async fn find(db: &Database, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    for place in store::columns(db).await {
        if store::holds(db, &place, text, &hex).await {
            found.push(format!("{}.{}", place.table, place.column));
        }
    }
    found
}

/// Whether a text stands in the files of an embedded database, be it in pages that nothing points at any more; never on
/// PostgreSQL, whose files are the server's.
pub fn is_in_files(database: &TestDatabase, text: &str) -> bool {
    if database.engine() != Engine::Sqlite {
        return false;
    }
    let path = database.url().trim_start_matches("sqlite:");
    ["", "-wal"].iter().any(|end| {
        let bytes = std::fs::read(format!("{path}{end}")).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
    })
}
