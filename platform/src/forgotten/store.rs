//! The queries for people who are looked for.

use contracts::{Time, UserId};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use crate::db::{DbConn, Result, SkipLockedExt};
use crate::schema::platform_forgotten as forgotten;

pub(super) async fn note(c: &mut DbConn, person: UserId, now: Time) -> Result<()> {
    diesel::insert_into(forgotten::table)
        .values((forgotten::person.eq(person), forgotten::next_look_at.eq(now), forgotten::looks.eq(0_i64)))
        .on_conflict(forgotten::person)
        .do_update()
        .set((
            forgotten::next_look_at.eq(excluded(forgotten::next_look_at)),
            forgotten::looks.eq(excluded(forgotten::looks)),
        ))
        .execute(c)
        .await?;
    Ok(())
}

/// Asked of a reader first, so that idling never takes the writer's lock.
pub(super) async fn any_due(c: &mut DbConn, now: Time) -> Result<bool> {
    let due = forgotten::table.filter(forgotten::next_look_at.le(now)).select(forgotten::person);
    Ok(due.first::<UserId>(c).await.optional()?.is_some())
}

/// Takes those whose turn it is until then, with how often they were looked for.
pub(super) async fn take(c: &mut DbConn, now: Time, until: Time, limit: i64) -> Result<Vec<(UserId, i64)>> {
    let due: Vec<(UserId, i64)> = forgotten::table
        .filter(forgotten::next_look_at.le(now))
        .order(forgotten::next_look_at)
        .limit(limit)
        .select((forgotten::person, forgotten::looks))
        .skip_locked_rows()
        .load(c)
        .await?;
    let people: Vec<_> = due.iter().map(|(person, _)| *person).collect();
    diesel::update(forgotten::table.filter(forgotten::person.eq_any(people)))
        .set(forgotten::next_look_at.eq(until))
        .execute(c)
        .await?;
    Ok(due)
}

/// Looked for often enough; unless the person was noted again, or taken by another process, since.
pub(super) async fn done(c: &mut DbConn, person: UserId, until: Time) -> Result<()> {
    let taken = forgotten::table.find(person).filter(forgotten::next_look_at.eq(until));
    diesel::delete(taken).execute(c).await?;
    Ok(())
}

/// Looked for; unless the person was noted again, or taken by another process, since.
pub(super) async fn look_again(c: &mut DbConn, person: UserId, until: Time, next: Time) -> Result<()> {
    let taken = forgotten::table.find(person).filter(forgotten::next_look_at.eq(until));
    diesel::update(taken)
        .set((forgotten::next_look_at.eq(next), forgotten::looks.eq(forgotten::looks + 1)))
        .execute(c)
        .await?;
    Ok(())
}

/// Not looked for after all: their turn is now, unless they were noted again, or taken by another process, since.
pub(super) async fn give_back(c: &mut DbConn, people: Vec<UserId>, until: Time, now: Time) -> Result<()> {
    let taken =
        forgotten::table.filter(forgotten::person.eq_any(people)).filter(forgotten::next_look_at.eq(until));
    diesel::update(taken).set(forgotten::next_look_at.eq(now)).execute(c).await?;
    Ok(())
}

pub(super) async fn count(c: &mut DbConn) -> Result<i64> {
    Ok(forgotten::table.count().get_result(c).await?)
}
