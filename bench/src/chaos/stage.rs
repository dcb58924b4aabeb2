//! What every story needs: Doorward in its shape, a mail server, people, clients that write, the ledger; and the audit when
//! the story is over.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::actors::{self, Actors, Seen};
use super::audit::{self, Counted};
use super::ledger::{Entry, Ledger, kinds};
use super::sink::Sink;
use super::{sabotage, tokens};
use crate::fleet::Fleet;
use crate::folder::Folder;
use crate::people::{Person, administrator_at, people};
use crate::{Engine, Shape};

/// What was claimed by a process that is gone is claimed again after its lease: here after seconds, not a minute.
/// Mail goes to a server of ours.
const SETTINGS: [(&str, &str); 21] = [
    ("DOORWARD__LIMITS__LOGINS__PER_ADDRESS", "0"),
    ("DOORWARD__LIMITS__REGISTRATIONS__PER_ADDRESS", "0"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__EMAIL", "1000000"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__EMAIL_SECURITY", "1000000"),
    ("DOORWARD__NOTIFICATIONS__LIMITS__INBOX", "1000000"),
    ("DOORWARD__OUTBOX__DEADLINE_MS", "1000"),
    ("DOORWARD__RABBITMQ__CONFIRM_TIMEOUT_MS", "800"),
    ("DOORWARD__OUTBOX__LEASE_MS", "3000"),
    ("DOORWARD__OUTBOX__BACKOFF_MAX_MS", "2000"),
    ("DOORWARD__BUS__DEADLINE_MS", "2000"),
    ("DOORWARD__BUS__LEASE_MS", "3000"),
    ("DOORWARD__BUS__MAX_ATTEMPTS", "1000"),
    ("DOORWARD__BUS__BACKOFF_MAX_MS", "2000"),
    // Tries come a second after each other here, not hours: nobody is to be given up because something was away.
    ("DOORWARD__NOTIFICATIONS__MAX_ATTEMPTS", "1000"),
    ("DOORWARD__NOTIFICATIONS__SEND_TIMEOUT_MS", "2000"),
    ("DOORWARD__NOTIFICATIONS__RETRY_BASE_MS", "500"),
    ("DOORWARD__NOTIFICATIONS__RETRY_MAX_MS", "1000"),
    // Clients and other servers keep the cores busy, and would leave hashing nothing.
    ("DOORWARD__AUTH__HASH__PRIORITY", "normal"),
    ("DOORWARD__AUTH__TOKENS__ACCESS_SECONDS", "3600"),
    ("DOORWARD__AUTH__TOKENS__GRACE_SECONDS", "5"),
    ("DOORWARD__AUTH__LIMITS__REGISTRATIONS_PER_NETWORK", "1000000"),
];

pub(super) struct Stage {
    pub(super) fleet: Fleet,
    pub(super) ledger: Arc<Ledger>,
    runtime: Runtime,
    actors: Actors,
    people: Vec<Person>,
    sink: Sink,
    begun: Instant,
    _folder: Folder,
}

/// How it came out.
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    pub(super) overlooked: Vec<&'static str>,
    pub(super) entries: Vec<Entry>,
    pub(super) seen: Seen,
    pub(super) counted: Counted,
    pub(super) under_load: Duration,
}

impl Stage {
    /// Everything runs, and the clients have begun.
    ///
    /// # Errors
    /// When a server that is needed is not to be had, or something does not start.
    pub(super) fn open(
        binary: &Path,
        shape: Shape,
        engine: Engine,
        more: &[(&str, &str)],
    ) -> Result<Self, String> {
        let runtime = crate::runtime();
        let folder = Folder::new("chaos");
        let sink = runtime.block_on(Sink::start());
        let smtp = sink.url();
        let mut settings = SETTINGS.to_vec();
        settings.push(("DOORWARD__SMTP__URL", &smtp));
        settings.extend(more);
        let fleet = Fleet::start(binary, shape, engine, 2, &settings)?;
        let (address, link) = (fleet.address, fleet.setup_link());
        let (root, people) = runtime.block_on(async {
            let root = administrator_at(address, &link).await;
            (root, people(address, "person", actors::PEOPLE).await)
        });
        let ledger = Arc::new(Ledger::open(&folder.path().join("ledger")));
        let actors = Actors::start(&runtime, address, Arc::clone(&ledger), root, &people);
        let begun = Instant::now();
        Ok(Self { fleet, ledger, runtime, actors, people, sink, begun, _folder: folder })
    }

    /// The clients end, and everything is looked through.
    pub(super) fn close(self, damage: bool) -> Outcome {
        thread::sleep(Duration::from_millis(300));
        let Self { mut fleet, ledger, runtime, actors, people, sink, begun, _folder } = self;
        let seen = runtime.block_on(actors.stop());
        let under_load = begun.elapsed();
        let entries = ledger.close();
        let mut violations = seen.wrong.clone();
        let mut books = fleet.books();
        if let Err(reason) = audit::wait_settled(&mut books) {
            violations.push(reason);
        }
        let audited = audit::tables(&mut books, &entries, &people, &sink);
        violations.extend(audited.violations);
        violations.extend(audit::integrity(&mut books));
        if fleet.logged("panicked") > 0 || fleet.logged("A panic at") > 0 {
            violations.push("there is a panic in the log".to_owned());
        }
        let overlooked = match damage {
            true => sabotage::try_all(&mut books, &entries, &people, &sink),
            false => Vec::new(),
        };
        // The last, because it uses tokens up and ends sessions.
        violations.extend(runtime.block_on(tokens::check(fleet.address, &entries)));
        for member in &mut fleet.members {
            member.house.stop();
        }
        Outcome { violations, overlooked, entries, seen, counted: audited.counted, under_load }
    }
}

/// A line of the result.
pub(super) type Row = (String, String);

impl Outcome {
    /// What was acknowledged.
    pub(super) fn load(&self) -> Vec<Row> {
        let mut rows = vec![
            ("under load for".to_owned(), format!("{} s", self.under_load.as_secs())),
            ("writes acknowledged".to_owned(), self.entries.len().to_string()),
        ];
        for (kind, count) in kinds(&self.entries) {
            rows.push((format!("… {kind}"), count.to_string()));
        }
        rows
    }

    /// What became of it.
    pub(super) fn result(&self) -> Vec<Row> {
        let Self { seen, counted, violations, .. } = self;
        vec![
            (
                "requests without an answer, or answered 503".to_owned(),
                format!("{} and {}", seen.unanswered, seen.refused),
            ),
            (
                "**acknowledged and missing, doubled, or half-written**".to_owned(),
                format!("**{}**", violations.len()),
            ),
            ("events, each delivered to every subscriber".to_owned(), counted.events.to_string()),
            (
                "messages in the mailbox (takes each only once): doubled".to_owned(),
                format!("{}: {}", counted.mailbox, counted.mailbox_doubled),
            ),
            (
                "e-mails at a mail server: doubled".to_owned(),
                format!("{}: {}", counted.mails, counted.mails_doubled),
            ),
        ]
    }
}

/// The rows as a table.
pub(super) fn table(rows: Vec<Row>) -> String {
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text
}
