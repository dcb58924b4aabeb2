//! What stands in the tables of all processes: one database, or one for each service.
//!
//! Whoever asks says what he always says; where the table is, or that it is in several places, is told by its name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sql::Sql;

pub(crate) struct Books {
    all: Vec<Sql>,
    /// The database with a module's tables.
    of: BTreeMap<String, usize>,
}

impl Books {
    /// One database with everything in it.
    pub(crate) fn one(sql: Sql) -> Self {
        Self { all: vec![sql], of: BTreeMap::new() }
    }

    /// One for each module.
    pub(crate) fn several(all: Vec<(String, Sql)>) -> Self {
        let of = all.iter().enumerate().map(|(at, (module, _))| (module.clone(), at)).collect();
        Self { all: all.into_iter().map(|(_, sql)| sql).collect(), of }
    }

    pub(crate) fn first(&self) -> &Sql {
        &self.all[0]
    }

    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Sql> {
        self.all.iter_mut()
    }

    /// The database with a module's tables.
    pub(crate) fn with(&mut self, module: &str) -> &mut Sql {
        let at = self.of.get(module).copied().unwrap_or(0);
        &mut self.all[at]
    }

    /// The rows from wherever this table is. What is grouped is grouped in each place by itself.
    pub(crate) fn rows(&mut self, columns: &str, rest: &str) -> Vec<Vec<Value>> {
        let table = rest.trim_start_matches("FROM ");
        match table.split_once('_') {
            Some((module, _)) if module != "platform" => self.with(module).rows(columns, rest),
            _ => self.all.iter_mut().flat_map(|sql| sql.rows(columns, rest)).collect(),
        }
    }

    /// One text a row.
    pub(crate) fn texts(&mut self, column: &str, rest: &str) -> Vec<String> {
        let rows = self.rows(column, rest);
        rows.into_iter().map(|row| row[0].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The sum of one number from each place.
    pub(crate) fn number(&mut self, column: &str, rest: &str) -> i64 {
        self.rows(column, rest).iter().map(|row| row[0].as_i64().unwrap_or_default()).sum()
    }
}
