//! Telling people at once what comes into their inbox, in the order of its numbers, each once.
//!
//! A stream holds nothing but the last number it told: it reads on from there when it is woken, from here or over Redis
//! from another process, and now and then unasked, because what is told over Redis may get lost; and only as fast as its
//! reader takes it. So a reader that was cut off goes
//! on with the number it saw last, and misses and repeats nothing. Before every piece, and whenever it looks, the login
//! is asked for again; a stream whose login ended ends. So does the oldest one of whoever has most when this process has no
//! place left and somebody comes who has fewer: the reader comes back, and a few people can't take all places.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::auth::CheckSession;
use contracts::{Caller, Error as Told, SessionId, UserId};
use metrics::gauge;
use platform::redis::Redis;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex as Turn, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Service, deliver};
use crate::error::Error;
use crate::model::inbox::InboxItem;
use crate::store;

/// How many items are read at once.
const BATCH: i64 = 50;

/// The channel on which processes tell each other whose inbox has something new.
const CHANNEL: &str = "inbox";

/// Who listens at this process.
pub(super) struct Streams {
    open: Mutex<Open>,
    closing: CancellationToken,
    redis: Option<Redis>,
    told: Turn<Option<UnboundedReceiver<Vec<u8>>>>,
}

/// The streams of one person, each with what ends it, the oldest first.
struct Readers {
    open: BTreeMap<u64, CancellationToken>,
    news: watch::Sender<()>,
}

/// The streams of everybody, and the number of the next one.
#[derive(Default)]
struct Open {
    readers: HashMap<UserId, Readers>,
    next: u64,
}

impl Open {
    fn count(&self) -> usize {
        self.readers.values().map(|readers| readers.open.len()).sum()
    }

    fn count_of(&self, user: UserId) -> usize {
        self.readers.get(&user).map_or(0, |readers| readers.open.len())
    }

    /// Ends the oldest stream of whoever has most, if that is at least two more than this: with less of a difference the two
    /// would take each other's place for ever. False when nobody has so many.
    fn make_place(&mut self, own: usize) -> bool {
        let oldest = |readers: &Readers| readers.open.keys().next().copied();
        let most = self.readers.values_mut().max_by_key(|it| (it.open.len(), Reverse(oldest(it))));
        let ended = most.filter(|it| it.open.len() > own + 1).and_then(|it| it.open.pop_first());
        ended.inspect(|(_, ends)| ends.cancel()).is_some()
    }
}

impl Streams {
    pub(super) fn new(redis: Option<Redis>) -> Self {
        let told = Turn::new(redis.as_ref().map(|redis| redis.listen(CHANNEL)));
        Self { open: Mutex::default(), closing: CancellationToken::new(), redis, told }
    }

    /// Tells the streams of a person that something came in, here and in other processes.
    pub(super) async fn tell(&self, user: UserId) {
        self.wake(user);
        if let Some(redis) = &self.redis {
            // Who does not hear it looks by himself.
            redis.tell(CHANNEL, user.to_string().as_bytes()).await;
        }
    }

    /// Wakes streams of this process when others tell of something.
    pub(super) async fn hear_until(&self, stop: &CancellationToken) {
        let mut told = self.told.lock().await;
        let Some(told) = told.as_mut() else { return };
        while let Some(Some(message)) = stop.run_until_cancelled(told.recv()).await {
            if let Ok(user) = String::from_utf8_lossy(&message).parse() {
                self.wake(user);
            }
        }
    }

    fn wake(&self, user: UserId) {
        if let Some(readers) = self.held().readers.get(&user) {
            readers.news.send_replace(());
        }
    }

    /// Ends every stream, and lets none begin.
    pub(super) fn end(&self) {
        self.closing.cancel();
    }

    fn held(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that a stream takes, given back when it ends.
struct Place {
    service: Arc<Service>,
    user: UserId,
    number: u64,
    /// When it is cancelled, the stream ends: the process does, or somebody else needs the place.
    ends: CancellationToken,
    news: watch::Receiver<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.service.streams.held();
        if let Some(own) = open.readers.get_mut(&self.user) {
            own.open.remove(&self.number);
            if own.open.is_empty() {
                open.readers.remove(&self.user);
            }
        }
        gauge!(deliver::STREAMS).decrement(1.0);
    }
}

/// What a stream says next.
#[derive(Debug)]
pub(crate) enum Piece {
    /// It begins here: the number to go on from when it is cut off before anything came.
    Start(i64),
    /// These came in.
    Items(Vec<InboxItem>),
    /// Nothing; only that it lives.
    Heartbeat,
}

/// A stream that somebody reads.
pub(crate) struct InboxStream {
    place: Place,
    caller: Caller,
    session: SessionId,
    told: i64,
    started: bool,
    ends_at: Instant,
    spoke_at: Instant,
}

impl Service {
    /// Opens a stream of what comes into a person's inbox after this number; from now on when there is none.
    ///
    /// # Errors
    /// When the person has too many open, or the process has and nobody has several more than this person; or when the
    /// process is stopping.
    pub(crate) async fn open_stream(
        self: Arc<Self>,
        caller: &Caller,
        user: UserId,
        session: SessionId,
        after: Option<i64>,
    ) -> Result<InboxStream, Error> {
        let place = self.take_place(user)?;
        let last = store::inbox::last_sequence(&mut *self.db.read().await?, user).await?;
        // A number that was never given out, as after the database was put back, begins at the end.
        let told = after.filter(|after| (0..=last).contains(after)).unwrap_or(last);
        let (now, settings) = (Instant::now(), &self.settings.stream);
        Ok(InboxStream {
            place,
            caller: caller.clone(),
            session,
            told,
            started: false,
            ends_at: now + Duration::from_secs(u64::from(settings.max_minutes) * 60),
            spoke_at: now,
        })
    }

    /// Ends every stream at this process, and lets none begin: for a stop.
    pub fn end_streams(&self) {
        self.streams.end();
    }

    fn take_place(self: &Arc<Self>, user: UserId) -> Result<Place, Error> {
        let (settings, streams) = (&self.settings.stream, &self.streams);
        if streams.closing.is_cancelled() {
            return Err(Error::Stopping);
        }
        let mut open = streams.held();
        let own = open.count_of(user);
        if own >= settings.per_person || (open.count() >= settings.per_process && !open.make_place(own)) {
            return Err(Error::TooManyStreams);
        }
        let (number, ends) = (open.next, streams.closing.child_token());
        open.next += 1;
        let fresh = || Readers { open: BTreeMap::new(), news: watch::Sender::new(()) };
        let readers = open.readers.entry(user).or_insert_with(fresh);
        readers.open.insert(number, ends.clone());
        gauge!(deliver::STREAMS).increment(1.0);
        Ok(Place { service: Arc::clone(self), user, number, ends, news: readers.news.subscribe() })
    }
}

impl InboxStream {
    /// The next piece; none when it ends.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        let service = Arc::clone(&self.place.service);
        let (ends, settings) = (self.place.ends.clone(), &service.settings.stream);
        if !self.started {
            self.started = true;
            return Some(Piece::Start(self.told));
        }
        let heartbeat = Duration::from_secs(u64::from(settings.heartbeat_seconds));
        let poll = Duration::from_millis(settings.poll_ms);
        loop {
            if ends.is_cancelled() || Instant::now() >= self.ends_at {
                return None;
            }
            // Seen before it is looked: what comes in while it looks wakes it again.
            self.place.news.borrow_and_update();
            match self.look(&service).await {
                Ok(Some(piece)) => return Some(piece),
                Ok(None) if !self.may_go_on(&service).await => return None,
                Ok(None) => {}
                // The reader comes back and goes on; waiting here would hide that something is wrong.
                Err(_) => return None,
            }
            if self.spoke_at.elapsed() >= heartbeat {
                self.spoke_at = Instant::now();
                return Some(Piece::Heartbeat);
            }
            tokio::select! {
                () = ends.cancelled() => return None,
                _ = self.place.news.changed() => {}
                () = tokio::time::sleep(poll.min(heartbeat)) => {}
            }
        }
    }

    async fn look(&mut self, service: &Service) -> Result<Option<Piece>, Told> {
        let items = {
            let mut c = service.db.read().await?;
            store::inbox::after(&mut c, self.place.user, self.told, BATCH).await?
        };
        let Some(last) = items.last().map(|item| item.sequence) else { return Ok(None) };
        if !self.may_go_on(service).await {
            return Err(Told::unauthenticated("platform.unauthenticated", "The login is over."));
        }
        self.told = last;
        self.spoke_at = Instant::now();
        Ok(Some(Piece::Items(items)))
    }

    /// Whether the login is still good. Who can't be asked is not told anything.
    async fn may_go_on(&self, service: &Service) -> bool {
        let ask = CheckSession { user: self.place.user, session: self.session };
        service.auth.check_session(&self.caller, ask).await.is_ok_and(|standing| standing.live)
    }
}
