//! The inbox's queries.

use contracts::{EventId, Time};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::db::{DbConn, Result};
use crate::schema::platform_inbox as inbox;

pub(super) async fn insert(c: &mut DbConn, subscriber: &str, event: EventId, now: Time) -> Result<bool> {
    let inserted = diesel::insert_into(inbox::table)
        .values((inbox::event_id.eq(event), inbox::subscriber.eq(subscriber), inbox::seen_at.eq(now)))
        .on_conflict_do_nothing()
        .execute(c)
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn oldest(c: &mut DbConn, before: Time, limit: i64) -> Result<Vec<EventId>> {
    Ok(inbox::table
        .filter(inbox::seen_at.lt(before))
        .order(inbox::seen_at)
        .limit(limit)
        .select(inbox::event_id)
        .load(c)
        .await?)
}

pub(super) async fn delete(c: &mut DbConn, events: &[EventId], before: Time) -> Result<usize> {
    let old = inbox::table.filter(inbox::event_id.eq_any(events.to_vec()).and(inbox::seen_at.lt(before)));
    Ok(diesel::delete(old).execute(c).await?)
}
