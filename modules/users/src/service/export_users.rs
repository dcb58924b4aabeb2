//! Exporting users: page after page, with the memory of one.
//!
//! Deleted users are left out, and everybody's password. It is written down who exported before the first row leaves.
//! An export ends when the login that asked for it does, or the right.

use contracts::auth::CheckSession;
use contracts::permissions::{Evaluate, Subject};
use contracts::{Actor, Caller, Error as Told, UserId};
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
    /// 503; a piece that can't be had, or may not be had any more, ends the stream with an error, so that nobody takes a
    /// part for the whole.
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
        let begun = (self, caller.clone(), Place::Head);
        Ok(stream::try_unfold(begun, move |(service, caller, place)| async move {
            let (piece, next) = match place {
                Place::Head => (head(format).to_owned(), Place::After(None)),
                Place::After(after) => {
                    service.check_still_allowed(&caller).await?;
                    service.piece(format, after).await?
                }
                Place::End => return Ok(None),
            };
            Ok(Some((piece, (service, caller, next))))
        }))
    }

    async fn check_still_allowed(&self, caller: &Caller) -> Result<(), Error> {
        let Actor::User { id: user, session } = caller.actor else { return Ok(()) };
        let ask = Evaluate {
            subject: Subject::user(user),
            action: "export".to_owned(),
            resource_type: "users".to_owned(),
            resource_id: None,
            resource_properties: serde_json::Map::new(),
        };
        let live = self.auth.check_session(caller, CheckSession { user, session }).await?.live;
        if live && self.permissions.evaluate(caller, ask).await?.allowed {
            return Ok(());
        }
        counter!("doorward_users_exports_stopped_total").increment(1);
        Err(Told::denied("users.export_stopped", "The login or the right to export ended.").into())
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
