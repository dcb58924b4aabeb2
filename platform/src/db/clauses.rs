//! The few clauses that diesel writes once per backend: membership, `RETURNING`, `LIMIT`, and unions.

use diesel::QueryResult;
use diesel::internal::derives::multiconnection::array_comparison::{In, InExpression, Many, NotIn};
use diesel::query_builder::{
    All, AstPass, BoxedLimitOffsetClause, Distinct, Except, Intersect, IntoBoxedClause, LimitOffsetClause,
    ParenthesisWrapper, QueryFragment, ReturningClause, SupportsCombinationClause, Union,
};
use diesel::serialize::ToSql;
use diesel::sql_types::{self as st, HasSqlType};

use super::binds::Kind;
use super::dialect::{Db, DbArray, DbReturning};

impl<T, U> QueryFragment<Db, DbArray> for In<T, U>
where
    T: QueryFragment<Db>,
    U: QueryFragment<Db> + InExpression,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.left.walk_ast(out.reborrow())?;
        out.push_sql(match out.backend() {
            Db::Postgres => " = ANY(",
            Db::Sqlite => " IN (",
        });
        self.values.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

impl<T, U> QueryFragment<Db, DbArray> for NotIn<T, U>
where
    T: QueryFragment<Db>,
    U: QueryFragment<Db> + InExpression,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.left.walk_ast(out.reborrow())?;
        out.push_sql(match out.backend() {
            Db::Postgres => " != ALL(",
            Db::Sqlite => " NOT IN (",
        });
        self.values.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

/// One bind and so one cached statement, however long the list is.
impl<ST, I> QueryFragment<Db, DbArray> for Many<ST, I>
where
    ST: st::SingleValue + 'static,
    Db: HasSqlType<ST>,
    I: ToSql<ST, Db> + std::fmt::Debug,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        let unpack = match (*out.backend(), <Db as HasSqlType<ST>>::metadata(&mut ())) {
            (Db::Postgres, _) => None,
            (Db::Sqlite, Kind::Uuid | Kind::Binary) => Some("SELECT unhex(value) FROM json_each("),
            (Db::Sqlite, _) => Some("SELECT value FROM json_each("),
        };
        if let Some(select) = unpack {
            out.push_sql(select);
        }
        out.push_bind_param::<st::Array<ST>, Vec<I>>(&self.values)?;
        if unpack.is_some() {
            out.push_sql(")");
        }
        Ok(())
    }
}

impl<E: QueryFragment<Db>> QueryFragment<Db, DbReturning> for ReturningClause<E> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.skip_from(true);
        out.push_sql(" RETURNING ");
        self.0.walk_ast(out)
    }
}

impl<L: QueryFragment<Db>, O: QueryFragment<Db>> QueryFragment<Db> for LimitOffsetClause<L, O> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.limit_clause.walk_ast(out.reborrow())?;
        self.offset_clause.walk_ast(out)
    }
}

impl<'a, L, O> IntoBoxedClause<'a, Db> for LimitOffsetClause<L, O>
where
    L: QueryFragment<Db> + Send + 'a,
    O: QueryFragment<Db> + Send + 'a,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Db>;

    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause {
            limit: Some(Box::new(self.limit_clause)),
            offset: Some(Box::new(self.offset_clause)),
        }
    }
}

impl QueryFragment<Db> for BoxedLimitOffsetClause<'_, Db> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        if let Some(limit) = &self.limit {
            limit.walk_ast(out.reborrow())?;
        }
        if let Some(offset) = &self.offset {
            offset.walk_ast(out)?;
        }
        Ok(())
    }
}

impl SupportsCombinationClause<Union, Distinct> for Db {}
impl SupportsCombinationClause<Union, All> for Db {}
impl SupportsCombinationClause<Intersect, Distinct> for Db {}
impl SupportsCombinationClause<Except, Distinct> for Db {}

/// A member of a union; SQLite takes no bare parentheses there.
impl<T: QueryFragment<Db>> QueryFragment<Db> for ParenthesisWrapper<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(match out.backend() {
            Db::Postgres => "(",
            Db::Sqlite => "SELECT * FROM (",
        });
        self.inner.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}
