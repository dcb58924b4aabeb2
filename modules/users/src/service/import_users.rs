//! Importing users: a body of any length, row after row, with the memory of one batch.
//!
//! Every batch is taken over by auth first, then here together with the note how far the import is. Whatever is
//! interrupted is taken up by sending the same file again: rows that were taken are passed over, and a checksum says
//! that they are the same ones. A batch that auth took and we did not is asked for again under the same ids, so it makes
//! nothing twice. Nobody gets a right by an import: rows have no roles, nobody is made under an id that was given more
//! than the caller holds, and to the profile of who is there and may do more nothing is added.

use contracts::auth::{FindAccount, ImportAccount, ImportAccounts, ImportOutcome};
use contracts::{Caller, EmailAddress, Error as Told, UserId};
use futures_util::{Stream, StreamExt};
use metrics::counter;
use platform::audit::{self, Entry, Outcome};
use platform::db::DbConn;
use platform::http::too_large;
use serde_json::json;
use std::collections::HashSet;

use crate::error::Error;
use crate::model::{Import, ImportFormat, ImportId, ImportRow, Profile, Raw, Rows};
use crate::service::Service;
use crate::service::create_user::complete;
use crate::service::directory::note_account;
use crate::store::imports;

/// Rows of one batch.
const BATCH: usize = 200;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Importing {
    pub(crate) format: ImportFormat,
    /// Only say what would happen.
    pub(crate) dry_run: bool,
    /// Go on with this one.
    pub(crate) resume: Option<ImportId>,
}

/// A row that auth is asked to take: its number, the address, and what is ours of it.
type Asked = (i64, EmailAddress, Profile);

/// Rows of people who may do more than the caller.
struct Outranking {
    /// The rows of those who are not there.
    refused: Vec<i64>,
    /// Those who are.
    untouched: HashSet<UserId>,
}

/// Where in the body we are.
struct Progress {
    import: Import,
    /// Rows seen, of which those that were taken before are passed over.
    seen: i64,
    /// Rows that were taken before.
    taken: i64,
    checksum: Vec<u8>,
    stored: bool,
}

impl Service {
    /// Takes over users, or says what would become of them.
    ///
    /// # Errors
    /// 413 when it is too long, 422 for a CSV without a usable header, 404 and 409 when what is taken up is not there,
    /// is something else, or goes on elsewhere; 503. What was taken until then stays taken and noted.
    pub(crate) async fn import_users<B: AsRef<[u8]>>(
        &self,
        caller: &Caller,
        ask: Importing,
        mut body: impl Stream<Item = Result<B, Told>> + Unpin,
    ) -> Result<Import, Error> {
        let mut progress = self.begin_import(ask).await?;
        let (mut rows, mut found, mut batch) = (Rows::new(ask.format), Vec::new(), Vec::new());
        let mut bytes = 0_u64;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            bytes = bytes.saturating_add(piece.as_ref().len() as u64);
            if bytes > self.settings.import.max_bytes {
                return Err(
                    too_large(usize::try_from(self.settings.import.max_bytes).unwrap_or(usize::MAX)).into()
                );
            }
            rows.feed(piece.as_ref(), &mut found)?;
            self.take_rows(caller, &mut progress, &mut found, &mut batch).await?;
        }
        rows.finish(&mut found)?;
        self.take_rows(caller, &mut progress, &mut found, &mut batch).await?;
        if progress.seen < progress.taken {
            return Err(Error::ImportOtherFile);
        }
        if progress.import.finished_at.is_none() {
            self.take_batch(caller, &mut progress, std::mem::take(&mut batch), true).await?;
        }
        Ok(progress.import)
    }

    /// What became of an import so far.
    ///
    /// # Errors
    /// 404; 503.
    pub(crate) async fn get_import(&self, id: ImportId) -> Result<Import, Error> {
        imports::find(&mut *self.db.read().await?, id).await?.ok_or(Error::ImportNotFound)
    }

    /// At most `limit` imports, the newest first, after this one.
    ///
    /// # Errors
    /// 503.
    pub(crate) async fn list_imports(
        &self,
        after: Option<ImportId>,
        limit: i64,
    ) -> Result<Vec<Import>, Error> {
        Ok(imports::page(&mut *self.db.read().await?, after, limit).await?)
    }

    async fn begin_import(&self, ask: Importing) -> Result<Progress, Error> {
        let (import, stored) = match ask.resume {
            Some(id) => (self.get_import(id).await?, true),
            None => (Import::new(ask.format, ask.dry_run, self.clock.now()), false),
        };
        if (import.format, import.dry_run) != (ask.format, ask.dry_run) {
            return Err(Error::ImportOtherFile);
        }
        Ok(Progress { taken: import.rows, import, seen: 0, checksum: Vec::new(), stored })
    }

    async fn take_rows(
        &self,
        caller: &Caller,
        progress: &mut Progress,
        found: &mut Vec<Raw>,
        batch: &mut Vec<Raw>,
    ) -> Result<(), Error> {
        for row in found.drain(..) {
            progress.seen += 1;
            if progress.seen <= progress.taken {
                progress.checksum = self.checksums.after(&progress.checksum, &row.bytes);
                if progress.seen == progress.taken && progress.checksum != progress.import.checksum {
                    return Err(Error::ImportOtherFile);
                }
                continue;
            }
            if progress.import.finished_at.is_some() {
                return Err(Error::ImportOtherFile);
            }
            batch.push(row);
            if batch.len() == BATCH {
                self.take_batch(caller, progress, std::mem::take(batch), false).await?;
            }
        }
        Ok(())
    }

    /// Takes out the rows that would make somebody under an id which may do more than the caller. Those who are there
    /// already stay: nothing is made of them, nor added to them.
    async fn refuse_ids(
        &self,
        caller: &Caller,
        import: ImportId,
        asked: &mut Vec<Asked>,
        accounts: &mut Vec<ImportAccount>,
    ) -> Result<Outranking, Error> {
        let named = asked.iter().map(|(row, _, profile)| (*row, profile.id));
        let named = named.filter(|(row, user)| *user != self.account_ids.of_row(import, *row));
        let (mut refused, mut untouched) = (HashSet::new(), HashSet::new());
        for user in self.outranking(caller, named.map(|(_, user)| user).collect()).await? {
            match self.auth.find_account(caller, FindAccount { user }).await? {
                Some(_) => untouched.insert(user),
                None => refused.insert(user),
            };
        }
        accounts.retain(|account| !refused.contains(&account.user));
        let rows = asked.extract_if(.., |(_, _, profile)| refused.contains(&profile.id));
        Ok(Outranking { refused: rows.map(|(row, ..)| row).collect(), untouched })
    }

    async fn take_batch(
        &self,
        caller: &Caller,
        progress: &mut Progress,
        batch: Vec<Raw>,
        last: bool,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        if !progress.stored {
            let import = &progress.import;
            let work = async |tx: &mut DbConn| {
                imports::insert(tx, import).await?;
                tell(tx, now, caller, "users.import.started", import).await
            };
            self.db.transaction(work).await?;
            progress.stored = true;
        }
        let mut after = progress.import.clone();
        let (mut asked, mut accounts) = (Vec::new(), Vec::new());
        for raw in batch {
            after.rows += 1;
            after.checksum = self.checksums.after(&after.checksum, &raw.bytes);
            let (row, user) = (after.rows, self.account_ids.of_row(after.id, after.rows));
            match raw.said.and_then(|said| ImportRow::read(said, user, now)) {
                Ok(ImportRow { account, profile }) => {
                    asked.push((row, account.email.clone(), profile));
                    accounts.push(account);
                }
                Err(error) => after.refuse(row, &error),
            }
        }
        let outranking = self.refuse_ids(caller, after.id, &mut asked, &mut accounts).await?;
        for row in outranking.refused {
            after.refuse(row, &outranked());
        }
        let outcomes = match accounts.is_empty() {
            true => Vec::new(),
            false => {
                let ask = ImportAccounts { dry_run: after.dry_run, accounts };
                self.auth.import_accounts(caller, ask).await?.outcomes
            }
        };
        if outcomes.len() != asked.len() {
            return Err(Told::internal("auth told another number of outcomes than it was asked for").into());
        }
        let mut settled = Vec::new();
        for ((row, email, profile), outcome) in asked.into_iter().zip(outcomes) {
            match outcome {
                ImportOutcome::Created(account) => {
                    after.created += 1;
                    settled.push((account, profile));
                }
                ImportOutcome::Present(account) if account.email == email => {
                    after.present += 1;
                    settled.push((account, profile));
                }
                ImportOutcome::Present(_) => after.refuse(row, &id_taken()),
                ImportOutcome::Refused(error) => after.refuse(row, &error),
            }
        }
        after.errors.sort_by_key(|error| error.row);
        after.updated_at = now;
        after.finished_at = last.then_some(now);
        let settled = if after.dry_run { Vec::new() } else { settled };
        let users: Vec<UserId> = settled.iter().map(|(account, _)| account.id).collect();
        let (before, noted) = (&progress.import, &after);
        let work = async |tx: &mut DbConn| {
            if !imports::advance(tx, before, noted).await? {
                return Err(Error::ImportElsewhere);
            }
            for (account, profile) in settled {
                if !outranking.untouched.contains(&account.id) {
                    complete(tx, now, caller, &account, &profile).await?;
                }
                note_account(tx, &account).await?;
            }
            if last {
                tell(tx, now, caller, "users.import.finished", noted).await?;
            }
            Ok(())
        };
        self.profiles.forgetting(users, self.db.transaction(work)).await?;
        count("created", after.created - progress.import.created);
        count("present", after.present - progress.import.present);
        count("refused", after.refused - progress.import.refused);
        progress.import = after;
        Ok(())
    }
}

fn outranked() -> Told {
    let rule = "This id was given more than you may do yourself.";
    Told::invalid("users.import_id_outranks_you", rule).at("/id", "outranks_you", rule)
}

fn count(outcome: &'static str, rows: i64) {
    let rows = u64::try_from(rows).unwrap_or_default();
    counter!("doorward_users_imported_rows_total", "outcome" => outcome).increment(rows);
}

fn id_taken() -> Told {
    let rule = "This id belongs to a user with another address.";
    Told::invalid("users.import_id_taken", rule).at("/id", "taken", rule)
}

async fn tell(
    tx: &mut DbConn,
    now: contracts::Time,
    caller: &Caller,
    action: &'static str,
    import: &Import,
) -> Result<(), Error> {
    let counts = json!({
        "dry_run": import.dry_run, "format": import.format.as_str(), "rows": import.rows,
        "created": import.created, "present": import.present, "refused": import.refused,
    });
    let entry = Entry {
        action,
        outcome: Outcome::Succeeded,
        subject_type: "import",
        subject_id: import.id.to_string(),
        before: None,
        after: Some(counts),
    };
    audit::record(tx, now, caller, entry).await?;
    Ok(())
}
