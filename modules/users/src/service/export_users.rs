//! Exporting users: page after page, with the memory of one.
//!
//! Deleted users are left out, and everybody's password. It is written down who exported before the first row leaves.

use contracts::{Caller, UserId};
use futures_util::{Stream, stream};
use metrics::counter;
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Error;
use crate::model::{ImportFormat, Profile, head, line};
use crate::service::Service;
use crate::store::{directory, profiles};

/// Users of one piece.
const PIECE: i64 = 500;

/// Where an export is.
#[derive(Clone, Copy)]
enum Place {
    Head,
    After(Option<UserId>),
    End,
}

impl Service {
    /// The users as rows, in the order of their ids, piece by piece.
    ///
    /// # Errors
    /// 503; a piece that can't be had ends the stream with an error, so that nobody takes a part for the whole.
    pub(crate) async fn export_users(
        self: Arc<Self>,
        caller: &Caller,
        format: ImportFormat,
    ) -> Result<impl Stream<Item = Result<String, Error>> + use<>, Error> {
        let now = self.clock.now();
        let entry = Entry {
            action: "users.exported",
            outcome: Outcome::Succeeded,
            subject_type: "users",
            subject_id: "all".to_owned(),
            before: None,
            after: Some(json!({ "format": format.as_str() })),
        };
        let work = async |tx: &mut DbConn| Ok::<_, Error>(audit::record(tx, now, caller, entry).await?);
        self.db.transaction(work).await?;
        Ok(stream::try_unfold((self, Place::Head), move |(service, place)| async move {
            let (piece, next) = match place {
                Place::Head => (head(format).to_owned(), Place::After(None)),
                Place::After(after) => service.piece(format, after).await?,
                Place::End => return Ok(None),
            };
            Ok(Some((piece, (service, next))))
        }))
    }

    async fn piece(&self, format: ImportFormat, after: Option<UserId>) -> Result<(String, Place), Error> {
        let c = &mut *self.db.read().await?;
        let entries = directory::by_id(c, after, PIECE).await?;
        let ids: Vec<UserId> = entries.iter().map(|entry| entry.id).collect();
        let known = profiles::some(c, &ids).await?;
        let known: HashMap<UserId, Profile> = known.into_iter().map(|it| (it.id, it)).collect();
        let next = match ids.last() {
            Some(last) => Place::After(Some(*last)),
            None => Place::End,
        };
        let mut piece = String::new();
        for entry in entries.into_iter().filter(|it| it.state != contracts::auth::AccountState::Deleted) {
            let account = entry.account()?;
            piece.push_str(&line(format, &account, known.get(&account.id)));
            counter!("doorward_users_exported_rows_total").increment(1);
        }
        Ok((piece, next))
    }
}
