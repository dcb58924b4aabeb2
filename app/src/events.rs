//! `doorward events`: what is on its way, what was given up, and another chance for it. Works beside a running server,
//! which notices by itself within `bus.poll_interval_ms`.

use contracts::EventId;
use platform::clock::Clock;
use platform::db::Database;
use platform::outbox::{self, Parked, Waiting};

use crate::settings::Settings;
use crate::{StartError, say};

/// Which events to list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    /// Those that were given up.
    pub(crate) parked: bool,
    /// Those that are on their way.
    pub(crate) waiting: bool,
    /// At most so many of each.
    pub(crate) limit: u16,
}

/// Prints a line for each, columns separated by tabs, below a line with their names.
pub(crate) async fn list(settings: &Settings, which: Which) -> Result<(), StartError> {
    let db = open(settings).await?;
    let mut c = db.read().await.map_err(unread)?;
    say("event\ttype\tsubscriber\tstate\tattempts\tcreated\tnext\tlast error")?;
    let (mut parked, mut waiting) = (Vec::new(), Vec::new());
    if which.parked {
        parked = outbox::parked(&mut c).await.map_err(unread)?;
        parked.truncate(usize::from(which.limit));
    }
    if which.waiting {
        waiting = outbox::waiting(&mut c, u32::from(which.limit)).await.map_err(unread)?;
    }
    parked.iter().map(parked_line).chain(waiting.iter().map(waiting_line)).try_for_each(|line| say(&line))
}

/// Gives one event, or every one, all its attempts again.
pub(crate) async fn retry(settings: &Settings, event: Option<EventId>) -> Result<(), StartError> {
    let (db, now) = (open(settings).await?, Clock::system().now());
    let mut count = 0;
    loop {
        let events = match event {
            Some(event) => vec![event],
            None => parked(&db).await?,
        };
        let retried =
            db.transaction(async |tx| outbox::retry(tx, now, &events).await).await.map_err(unread)?;
        count += retried;
        if event.is_some() || retried == 0 {
            break;
        }
    }
    match (event, count) {
        (Some(event), 0) => Err(StartError(format!("Nothing of the event {event} is parked."))),
        (_, count) => say(&format!("Deliveries that are tried again: {count}")),
    }
}

async fn parked(db: &Database) -> Result<Vec<EventId>, StartError> {
    let parked = outbox::parked(&mut *db.read().await.map_err(unread)?).await.map_err(unread)?;
    Ok(parked.into_iter().map(|parked| parked.event).collect())
}

/// Never makes a database: an empty one would only hide that the settings name the wrong place.
async fn open(settings: &Settings) -> Result<Database, StartError> {
    if let Some(path) = settings.database.url.sqlite_path().filter(|path| !path.is_file()) {
        return Err(StartError(format!("There is no database at {}.", path.display())));
    }
    Database::open(&settings.database).await.map_err(unread)
}

fn unread(error: platform::db::Error) -> StartError {
    StartError::because("The events can't be read", error)
}

fn parked_line(it: &Parked) -> String {
    let last = words(it.last_error.as_deref());
    let Parked { event, event_type, subscriber, attempts, created_at, .. } = it;
    format!("{event}\t{event_type}\t{subscriber}\tparked\t{attempts}\t{created_at}\t-\t{last}")
}

fn waiting_line(it: &Waiting) -> String {
    let (last, subscriber) = (words(it.last_error.as_deref()), it.subscriber.as_deref().unwrap_or("-"));
    let Waiting { event, event_type, attempts, created_at, next_attempt_at, .. } = it;
    format!(
        "{event}\t{event_type}\t{subscriber}\tpending\t{attempts}\t{created_at}\t{next_attempt_at}\t{last}"
    )
}

/// One line, whatever a subscriber said.
fn words(text: Option<&str>) -> String {
    text.unwrap_or("-").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
