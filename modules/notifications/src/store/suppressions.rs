//! Addresses that get nothing of a category any more.

use contracts::Time;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use platform::db::{DbConn, Result};

use crate::model::{Medium, Reason};
use crate::schema::notifications_suppressions as suppressions;

/// Stands for every category: the address itself is no good.
const ALL: &str = "*";

/// An address on a channel.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) key: String,
    pub(crate) medium: Medium,
}

/// Why an address gets nothing of this category; none when it may.
pub(crate) async fn find(c: &mut DbConn, address: &Address, category: &str) -> Result<Option<Reason>> {
    let found = suppressions::table
        .filter(suppressions::address_key.eq(address.key.clone()))
        .filter(suppressions::channel.eq(address.medium))
        .filter(suppressions::category.eq_any(vec![ALL.to_owned(), category.to_owned()]))
        .order(suppressions::category)
        .select(suppressions::reason)
        .first(c)
        .await
        .optional()?;
    Ok(found)
}

/// Remembers that an address wants nothing of a category; false when that was known.
pub(crate) async fn unsubscribe(
    tx: &mut DbConn,
    address: &Address,
    category: &str,
    now: Time,
) -> Result<bool> {
    insert(tx, address, category, Reason::Unsubscribed, now).await
}

/// Remembers that an address is refused by its server.
pub(crate) async fn bounced(tx: &mut DbConn, address: &Address, now: Time) -> Result<bool> {
    insert(tx, address, ALL, Reason::Bounced, now).await
}

async fn insert(
    tx: &mut DbConn,
    address: &Address,
    category: &str,
    reason: Reason,
    now: Time,
) -> Result<bool> {
    let inserted = diesel::insert_into(suppressions::table)
        .values((
            suppressions::address_key.eq(address.key.clone()),
            suppressions::channel.eq(address.medium),
            suppressions::category.eq(category.to_owned()),
            suppressions::reason.eq(reason),
            suppressions::created_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    Ok(inserted > 0)
}

/// Forgets that an address was refused: its owner has proven it.
pub(crate) async fn forgive(tx: &mut DbConn, key: &str) -> Result<()> {
    let bounced = suppressions::address_key.eq(key.to_owned()).and(suppressions::reason.eq(Reason::Bounced));
    diesel::delete(suppressions::table.filter(bounced)).execute(tx).await?;
    Ok(())
}

/// Forgets everything about an address.
pub(crate) async fn delete(tx: &mut DbConn, key: &str) -> Result<()> {
    diesel::delete(suppressions::table.filter(suppressions::address_key.eq(key.to_owned())))
        .execute(tx)
        .await?;
    Ok(())
}
