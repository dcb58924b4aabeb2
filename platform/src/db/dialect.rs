//! `Db`, the backend: which of diesel's dialect choices hold for both engines at once.
//!
//! The choices are the common ground of PostgreSQL and SQLite 3.35 and later. Where there is none, the clause is
//! ours (`clauses.rs`) and decides by the dialect's value.

use diesel::backend::{Backend, DieselReserveSpecialization, SqlDialect, TrustedBackend, sql_dialect};
use diesel::sql_types::TypeMetadata;

use super::binds::{Binds, Kind};
use super::sql_text::DbQueryBuilder;
use super::values::DbValue;

/// The diesel backend of every query here, and at run time the engine it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Db {
    /// PostgreSQL 14 or later.
    #[default]
    Postgres,
    /// SQLite, bundled.
    Sqlite,
}

impl Db {
    /// The dialect's constant, which outlives every query.
    pub(super) const fn constant(self) -> &'static Self {
        match self {
            Self::Postgres => &Self::Postgres,
            Self::Sqlite => &Self::Sqlite,
        }
    }
}

impl Backend for Db {
    type QueryBuilder = DbQueryBuilder;
    type RawValue<'a> = DbValue<'a>;
    type BindCollector<'a> = Binds;
}

impl TypeMetadata for Db {
    type TypeMetadata = Kind;
    type MetadataLookup = ();
}

impl TrustedBackend for Db {}
impl DieselReserveSpecialization for Db {}

/// Marks that `ON CONFLICT` is written as PostgreSQL and SQLite both have it.
#[derive(Debug)]
pub struct DbOnConflict;

impl sql_dialect::on_conflict_clause::SupportsOnConflictClause for DbOnConflict {}
impl sql_dialect::on_conflict_clause::SupportsOnConflictClauseWhere for DbOnConflict {}
impl sql_dialect::on_conflict_clause::PgLikeOnConflictClause for DbOnConflict {}

/// Marks that `eq_any` and `ne_all` are ours.
#[derive(Debug)]
pub struct DbArray;

/// Marks that `RETURNING` is ours.
#[derive(Debug)]
pub struct DbReturning;

impl sql_dialect::returning_clause::SupportsReturningClause for DbReturning {}

impl SqlDialect for Db {
    type ReturningClause = DbReturning;
    type OnConflictClause = DbOnConflict;
    // With these two, many rows are one statement on both engines. The keyword DEFAULT, which SQLite refuses,
    // never comes up because every Insertable says `treat_none_as_default_value = false`.
    type InsertWithDefaultKeyword = sql_dialect::default_keyword_for_insert::IsoSqlDefaultKeyword;
    type BatchInsertSupport = sql_dialect::batch_insert_support::PostgresLikeBatchInsertSupport;
    type ConcatClause = sql_dialect::concat_clause::ConcatWithPipesClause;
    type DefaultValueClauseForInsert = sql_dialect::default_value_clause::AnsiDefaultValueClause;
    type EmptyFromClauseSyntax = sql_dialect::from_clause_syntax::AnsiSqlFromClauseSyntax;
    type SelectStatementSyntax = sql_dialect::select_statement_syntax::AnsiSqlSelectStatement;
    type ExistsSyntax = sql_dialect::exists_syntax::AnsiSqlExistsSyntax;
    type ArrayComparison = DbArray;
    type AliasSyntax = sql_dialect::alias_syntax::AsAliasSyntax;
    type WindowFrameClauseGroupSupport =
        sql_dialect::window_frame_clause_group_support::IsoGroupWindowFrameUnit;
    type WindowFrameExclusionSupport = sql_dialect::window_frame_exclusion_support::FrameExclusionSupport;
    type AggregateFunctionExpressions =
        sql_dialect::aggregate_function_expressions::PostgresLikeAggregateFunctionExpressions;
    type BuiltInWindowFunctionRequireOrder =
        sql_dialect::built_in_window_function_require_order::NoOrderRequired;
}
