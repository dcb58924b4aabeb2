//! SQL that must differ by engine, each side by side with its twin: skipping locked rows, and finding text.

use diesel::QueryResult;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AsQuery, AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Nullable, Text};

use super::dialect::Db;

/// A select that takes its rows for this transaction and passes over those another transaction has taken.
///
/// `FOR UPDATE SKIP LOCKED` on PostgreSQL; nothing on SQLite, where a writing transaction is alone anyway.
#[derive(Debug, Clone, Copy)]
pub struct SkipLocked<Q>(Q);

impl<Q: Query> Query for SkipLocked<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for SkipLocked<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Db>> QueryFragment<Db> for SkipLocked<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        match out.backend() {
            Db::Postgres => out.push_sql(" FOR UPDATE SKIP LOCKED"),
            Db::Sqlite => {}
        }
        Ok(())
    }
}

/// Gives every select [`SkipLockedExt::skip_locked_rows`].
pub trait SkipLockedExt: AsQuery + Sized {
    /// Takes the rows for this transaction and passes over those another one has taken; the last call of a query.
    fn skip_locked_rows(self) -> SkipLocked<Self> {
        SkipLocked(self)
    }
}

impl<Q: AsQuery> SkipLockedExt for Q {}

/// Whether the text holds these words anywhere. Case is ignored, on SQLite that of ASCII letters only.
///
/// The words are taken as they are: `%`, `_` and `\` stand for themselves.
pub fn text_contains<L>(text: L, words: &str) -> TextContains<L>
where
    L: Expression,
    L::SqlType: TextKind,
{
    let mut pattern = String::with_capacity(words.len() + 2);
    pattern.push('%');
    for letter in words.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    TextContains { text, pattern }
}

/// What [`text_contains`] makes.
#[derive(Debug, Clone)]
pub struct TextContains<L> {
    text: L,
    pattern: String,
}

/// A text column, with or without nulls.
pub trait TextKind {}
impl TextKind for Text {}
impl TextKind for Nullable<Text> {}

impl<L> QueryId for TextContains<L> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<L: Expression> Expression for TextContains<L> {
    type SqlType = Bool;
}

impl<L: AppearsOnTable<Source>, Source> AppearsOnTable<Source> for TextContains<L> {}
impl<L: SelectableExpression<Source>, Source> SelectableExpression<Source> for TextContains<L> {}

impl<L, GroupBy> ValidGrouping<GroupBy> for TextContains<L> {
    type IsAggregate = is_aggregate::Never;
}

impl<L: QueryFragment<Db>> QueryFragment<Db> for TextContains<L> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.text.walk_ast(out.reborrow())?;
        out.push_sql(match out.backend() {
            Db::Postgres => " ILIKE ",
            Db::Sqlite => " LIKE ",
        });
        out.push_bind_param::<Text, String>(&self.pattern)?;
        out.push_sql(" ESCAPE '\\'");
        Ok(())
    }
}
