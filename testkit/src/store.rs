//! How a database would answer a query: the plan of its own text, so of the one that is run.

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;
use platform::db::{Db, DbConn};

/// A query that is explained and not run. The answer of PostgreSQL has one column, that of SQLite four.
struct Postgres<Q>(Q);
struct Sqlite<Q>(Q);

macro_rules! explained {
    ($($name:ident: $word:literal => $kind:ty;)*) => {$(
        impl<Q> QueryId for $name<Q> {
            type QueryId = ();
            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl<Q: QueryFragment<Db>> QueryFragment<Db> for $name<Q> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> diesel::QueryResult<()> {
                out.unsafe_to_cache_prepared();
                out.push_sql($word);
                self.0.walk_ast(out)
            }
        }

        impl<Q> Query for $name<Q> {
            type SqlType = $kind;
        }
    )*};
}
explained! {
    Postgres: "EXPLAIN " => Text;
    Sqlite: "EXPLAIN QUERY PLAN " => (Integer, Integer, Integer, Text);
}

/// The plan, a line for each step.
pub async fn plan<Q: QueryFragment<Db> + Send>(c: &mut DbConn, query: Q) -> String {
    let lines: Vec<String> = if c.dialect() == Db::Postgres {
        Postgres(query).load(c).await.unwrap()
    } else {
        let lines: Vec<(i32, i32, i32, String)> = Sqlite(query).load(c).await.unwrap();
        lines.into_iter().map(|line| line.3).collect()
    };
    lines.join("\n")
}
