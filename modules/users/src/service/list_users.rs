//! Lists of users, for administrators: by time or address, by state, and by the beginnings of words.
//!
//! A search whose rarest word few people have begins with them. A search for what many have begins with the list and
//! keeps whoever has the words; it looks at so many people at most, so a page may hold fewer than asked for, or none,
//! and still name the next one. That way no search is slow, whatever it is for.

use contracts::UserId;
use contracts::auth::Account;
use metrics::{counter, histogram};
use platform::db::{Database, DbConn};
use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::model::{Entry, Found, Listing, Position, Profile, Sort};
use crate::service::{Me, Service};
use crate::store::{directory, profiles, search};

/// People who may have a word for a search to begin with them.
const FEW: i64 = 5_000;

/// People whom one page of a search looks at, and how many at once, to begin with and at most.
const LOOKED_AT: usize = 10_000;
const STEP: usize = 200;
const LONGEST_STEP: usize = 3_200;

impl Service {
    /// # Errors
    /// 503.
    pub(crate) async fn list_users(&self, listing: &Listing) -> Result<Found<Me>, Error> {
        let begun = self.clock.now();
        let found = page(&self.db, listing).await?;
        let ids: Vec<UserId> = found.items.iter().map(|entry| entry.id).collect();
        let known = profiles::some(&mut *self.db.read().await?, &ids).await?;
        let mut known: HashMap<UserId, Profile> = known.into_iter().map(|it| (it.id, it)).collect();
        let of = |entry: Entry| {
            let account = entry.account()?;
            Ok(Me { profile: known.remove(&account.id).unwrap_or_else(|| unsaid(&account)), account })
        };
        let items = found.items.into_iter().map(of).collect::<contracts::Result<_>>()?;
        let kind = if listing.search.words().is_empty() { "list" } else { "search" };
        let took = self.clock.now().since(begun);
        histogram!("doorward_users_list_seconds", "kind" => kind).record(took.as_secs_f64());
        Ok(Found { items, next: found.next })
    }
}

/// The profile of somebody who has none yet.
pub(super) fn unsaid(account: &Account) -> Profile {
    Profile { revision: 0, ..Profile::empty(account.id, account.created_at) }
}

/// A page of entries.
pub(crate) async fn page(db: &Database, listing: &Listing) -> Result<Found<Entry>, Error> {
    let c = &mut *db.read().await?;
    if listing.search.words().is_empty() {
        let rows =
            directory::walk(c, listing.sort, listing.state, listing.after.as_ref(), more(listing.limit));
        return Ok(cut(listing.sort, rows.await?, listing.limit));
    }
    match few(c, listing.search.words()).await? {
        Some(ids) => among(c, listing, ids).await,
        None => along(c, listing).await,
    }
}

fn more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

fn cut(sort: Sort, mut items: Vec<Entry>, limit: usize) -> Found<Entry> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| sort.position(last));
    Found { items, next }
}

/// Those who have the first of the words that only few have, and all the other words.
async fn few(c: &mut DbConn, words: &[String]) -> Result<Option<Vec<UserId>>, Error> {
    for word in words {
        let found = search::find(c, word, FEW + 1).await?;
        if i64::try_from(found.len()).is_ok_and(|many| many <= FEW) {
            let found: HashSet<UserId> = found.into_iter().collect();
            let others = words.iter().filter(|other| *other != word);
            let mut found: Vec<UserId> = found.into_iter().collect();
            for other in others {
                let having = search::having(c, &found, other).await?;
                found.retain(|user| having.contains(user));
            }
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The page among these few.
async fn among(c: &mut DbConn, listing: &Listing, ids: Vec<UserId>) -> Result<Found<Entry>, Error> {
    let sort = listing.sort;
    let mut entries = directory::some(c, &ids).await?;
    entries.retain(|entry| {
        listing.state.is_none_or(|state| entry.state == state)
            && listing.after.as_ref().is_none_or(|after| sort.is_after(entry, after))
    });
    entries.sort_unstable_by(|one, other| sort.compare(one, other));
    Ok(cut(sort, entries, listing.limit))
}

/// The page along the list.
async fn along(c: &mut DbConn, listing: &Listing) -> Result<Found<Entry>, Error> {
    let (mut items, mut looked_at, mut step) = (Vec::new(), 0, STEP);
    let mut position: Option<Position> = listing.after.clone();
    while looked_at < LOOKED_AT {
        let limit = i64::try_from(step).unwrap_or(i64::MAX);
        let rows = directory::walk(c, listing.sort, listing.state, position.as_ref(), limit).await?;
        let last = rows.last().map(|last| listing.sort.position(last));
        let ended = rows.len() < step;
        looked_at += rows.len();
        items.extend(having_all(c, rows, listing.search.words()).await?);
        if items.len() > listing.limit {
            return Ok(cut(listing.sort, items, listing.limit));
        }
        if ended {
            return Ok(Found { items, next: None });
        }
        position = last;
        step = (step * 2).min(LONGEST_STEP);
    }
    counter!("doorward_users_search_short_pages_total").increment(1);
    Ok(Found { items, next: position })
}

async fn having_all(c: &mut DbConn, mut rows: Vec<Entry>, words: &[String]) -> Result<Vec<Entry>, Error> {
    for word in words {
        let ids: Vec<UserId> = rows.iter().map(|entry| entry.id).collect();
        let having = search::having(c, &ids, word).await?;
        rows.retain(|entry| having.contains(&entry.id));
    }
    Ok(rows)
}
