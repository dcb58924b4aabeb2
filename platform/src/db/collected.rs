//! A query whose SQL text and binds are already produced: all that the two real connections ever see.

use diesel::QueryResult;
use diesel::internal::derives::multiconnection::AstPassHelper as _;
use diesel::pg::{Pg, PgTypeMetadata};
use diesel::query_builder::{AstPass, BindCollector as _, Query, QueryBuilder as _, QueryFragment, QueryId};
use diesel::sql_types as st;
use diesel::sqlite::Sqlite;

use super::binds::{Binds, Value};
use super::dialect::Db;
use super::sql_text::DbQueryBuilder;

#[derive(Debug)]
pub(super) struct Collected {
    sql: String,
    binds: Vec<Value>,
    cacheable: bool,
}

impl Collected {
    pub(super) fn new<Q: QueryFragment<Db>>(query: &Q, dialect: Db) -> QueryResult<Self> {
        let backend = dialect.constant();
        let mut text = DbQueryBuilder::new(dialect);
        query.to_sql(&mut text, backend)?;
        let mut binds = Binds::default();
        query.collect_binds(&mut binds, &mut (), backend)?;
        let cacheable = query.is_safe_to_cache_prepared(backend)?;
        let mut binds = binds.0;
        if dialect == Db::Sqlite {
            for bind in &mut binds {
                if matches!(bind, Value::Array(..)) {
                    *bind = Value::Text(bind.json().to_string());
                }
            }
        }
        Ok(Self { sql: text.finish(), binds, cacheable })
    }
}

impl QueryId for Collected {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Collected {
    type SqlType = st::Untyped;
}

impl QueryFragment<Pg> for Collected {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&self.sql);
        if !self.cacheable {
            out.unsafe_to_cache_prepared();
        }
        if let Some((collector, _)) = out.bind_collector() {
            for bind in &self.binds {
                let (oid, array_oid) = bind.kind().oids();
                collector.metadata.push(match bind {
                    Value::Array(..) => PgTypeMetadata::new(array_oid, 0),
                    _ => PgTypeMetadata::new(oid, array_oid),
                });
                collector.binds.push(bind.postgres_bytes()?);
            }
        }
        Ok(())
    }
}

impl QueryFragment<Sqlite> for Collected {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(&self.sql);
        if !self.cacheable {
            out.unsafe_to_cache_prepared();
        }
        if let Some((collector, lookup)) = out.bind_collector() {
            for bind in &self.binds {
                match bind {
                    // An array is already a JSON text, see `Collected::new`.
                    Value::Null(kind) | Value::Array(kind, _) => {
                        collector.push_null_value(kind.sqlite())?;
                    }
                    Value::SmallInt(value) => {
                        collector.push_bound_value::<st::SmallInt, i16>(value, lookup)?;
                    }
                    Value::Integer(value) => {
                        collector.push_bound_value::<st::Integer, i32>(value, lookup)?;
                    }
                    Value::BigInt(value) | Value::Micros(value) => {
                        collector.push_bound_value::<st::BigInt, i64>(value, lookup)?;
                    }
                    Value::Double(value) => {
                        collector.push_bound_value::<st::Double, f64>(value, lookup)?;
                    }
                    Value::Bool(value) => {
                        collector.push_bound_value::<st::Bool, bool>(value, lookup)?;
                    }
                    Value::Text(value) | Value::Json(value) => {
                        collector.push_bound_value::<st::Text, str>(value.as_str(), lookup)?;
                    }
                    Value::Binary(value) => {
                        collector.push_bound_value::<st::Binary, [u8]>(value.as_slice(), lookup)?;
                    }
                    Value::Uuid(value) => {
                        collector
                            .push_bound_value::<st::Binary, [u8]>(value.as_bytes().as_slice(), lookup)?;
                    }
                }
            }
        }
        Ok(())
    }
}
