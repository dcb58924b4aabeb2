//! Writes the SQL text of a query: identifiers in double quotes on both engines, binds as `$1` or `?`.

use std::fmt::Write as _;

use diesel::QueryResult;
use diesel::query_builder::QueryBuilder;

use super::dialect::Db;

/// Collects the SQL text of one query in one dialect.
#[derive(Debug, Default)]
pub struct DbQueryBuilder {
    sql: String,
    binds: u32,
    dialect: Db,
}

impl DbQueryBuilder {
    pub(super) fn new(dialect: Db) -> Self {
        Self { sql: String::with_capacity(256), binds: 0, dialect }
    }
}

impl QueryBuilder<Db> for DbQueryBuilder {
    fn push_sql(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn push_identifier(&mut self, identifier: &str) -> QueryResult<()> {
        self.sql.push('"');
        self.sql.push_str(&identifier.replace('"', "\"\""));
        self.sql.push('"');
        Ok(())
    }

    fn push_bind_param(&mut self) {
        self.binds = self.binds.saturating_add(1);
        match self.dialect {
            Db::Postgres => {
                // Writing into a String can't fail.
                let _ = write!(self.sql, "${}", self.binds);
            }
            Db::Sqlite => self.sql.push('?'),
        }
    }

    fn push_bind_param_value_only(&mut self) {
        self.binds = self.binds.saturating_add(1);
    }

    fn finish(self) -> String {
        self.sql
    }
}
