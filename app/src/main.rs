//! The command line of Doorward: one binary, and one thing it is asked to do.
//!
//! Reads the command, loads the settings, and hands over. What goes wrong before anything runs is told in a sentence
//! on standard error, and the exit status is 1; what a command prints is on standard output.

mod asyncapi;
mod audit;
mod backup;
mod commands;
mod compose;
mod data;
mod docs;
mod effective;
mod events;
mod export;
mod health;
mod limits;
mod openapi;
mod proxy;
mod pulse;
mod server;
mod settings;
mod signals;
mod storage;
mod sweep;
mod tls;
mod workers;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::events::Which;
use crate::settings::Settings;
use crate::signals::unless_stopped;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// User management: accounts, profiles, permissions and notifications in one binary.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    /// A file with settings, in TOML. The environment (DOORWARD__SECTION__KEY) goes before it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Run (this is also what happens when no command is given)
    Serve,
    /// Bring the database up to date and end
    Migrate,
    /// Ask the process that runs with these settings whether it takes requests: for a container's health check
    Health,
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after keys: those that access tokens are signed with, and this service's own
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look after administrators
    #[command(subcommand)]
    Admin(AdminCommand),
    /// See events that wait or were given up, and try them again
    #[command(subcommand)]
    Events(EventsCommand),
    /// Copy the embedded database into a new file, also while a server runs
    Backup {
        /// The file to write; it must not be there yet
        file: PathBuf,
    },
    /// Check a backup and put it in the place of the embedded database; no server may run
    Restore {
        /// What `doorward backup` wrote
        file: PathBuf,
        /// Keep sessions and links: for a planned move, with nothing changed since the backup
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Look after where everything is stored
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Print the configuration of a reverse proxy that stands in front of several processes
    Proxy(proxy::Wanted),
    /// Print the AsyncAPI document: the events, as they are on the broker
    Asyncapi,
    /// Find out what hashing a password may cost on this machine, and print the settings for it
    TuneHash {
        /// How long one hash may take here, in milliseconds
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        target_ms: u64,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ConfigCommand {
    /// Tell whether these settings are fit for use, without asking a database or anybody else
    Check,
    /// Print the settings as they count, where each comes from, and no secret
    Show,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum EventsCommand {
    /// Print events that were given up and those on their way
    List {
        /// Only those that were given up
        #[arg(long, conflicts_with = "pending")]
        parked: bool,
        /// Only those on their way
        #[arg(long)]
        pending: bool,
        /// At most so many of each
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Give what was given up all its attempts again
    #[command(arg_required_else_help = true)]
    Retry {
        /// One event
        #[arg(value_name = "ID", conflicts_with = "all")]
        event: Option<contracts::EventId>,
        /// Every one
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum KeysCommand {
    /// Make a new signing key, and let the one in use retire when its tokens are over
    Rotate {
        /// Refuse the tokens of every older key at once, because somebody else may have it
        #[arg(long)]
        compromised: bool,
    },
    /// Print the public half of this service's own key, for the settings of the other services
    Service,
}

#[derive(Debug, Clone, Subcommand)]
enum StorageCommand {
    /// Copy everything into an empty database of the other engine; no process may run
    Copy(storage::Move),
}

#[derive(Debug, Clone, Subcommand)]
enum AdminCommand {
    /// Make somebody an administrator; doing it again changes nothing. An account that is there and is no administrator's
    /// is taken over: its password is forgotten, and its sessions are ended
    Create(commands::NewAdministrator),
}

/// Why Doorward does not start: sentences for the one who starts it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StartError(pub(crate) String);

impl StartError {
    /// A sentence that says what did not work, and what was said about it.
    pub(crate) fn because(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }

    /// The same with everything that an error came from: whoever starts it is the operator.
    pub(crate) fn caused(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let all = std::iter::successors(Some(error), |error| error.source());
        // What callers read of a mistake of ours says nothing to an operator.
        let ours = |error: &&(dyn std::error::Error + 'static)| {
            let error = error.downcast_ref::<contracts::Error>();
            error.is_some_and(|it| it.kind == contracts::Kind::Internal && it.source.is_some())
        };
        let told: Vec<String> = all.filter(|error| !ours(error)).map(ToString::to_string).collect();
        Self(format!("{what}: {}", told.join(": ")))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let serves = matches!(arguments.command, None | Some(Command::Serve));
            let headline = if serves { "Doorward did not start.\n" } else { "" };
            let _ = writeln!(std::io::stderr(), "{headline}{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), StartError> {
    let load = || Settings::load(arguments.config.as_deref());
    match arguments.command.clone().unwrap_or(Command::Serve) {
        Command::Serve => block_on(server::serve(load()?)),
        Command::Migrate => block_on(unless_stopped(compose::migrate(&load()?))),
        Command::Health => health::check(&Settings::sketch(arguments.config.as_deref())?.server),
        Command::Config(ConfigCommand::Check) => block_on(compose::look_over(&load()?)),
        Command::Keys(KeysCommand::Rotate { compromised }) => {
            block_on(commands::rotate_keys(&load()?, compromised))
        }
        Command::Keys(KeysCommand::Service) => {
            commands::show_service_key(&Settings::sketch(arguments.config.as_deref())?)
        }
        Command::Admin(AdminCommand::Create(new)) => block_on(commands::create_administrator(&load()?, &new)),
        Command::Config(ConfigCommand::Show) => {
            Settings::show(arguments.config.as_deref()).and_then(|text| say(text.trim_end()))
        }
        Command::Events(EventsCommand::List { parked, pending, limit }) => {
            let which = Which { parked: !pending, waiting: !parked, limit };
            block_on(events::list(&load()?, which))
        }
        Command::Events(EventsCommand::Retry { event, .. }) => block_on(events::retry(&load()?, event)),
        Command::Backup { file } => block_on(backup::back_up(&load()?, &file)),
        Command::Restore { file, keep_sessions } => {
            block_on(unless_stopped(backup::restore(&load()?, &file, keep_sessions)))
        }
        Command::Storage(StorageCommand::Copy(way)) => block_on(unless_stopped(storage::copy(&load()?, way))),
        Command::Openapi => say(&openapi::text(&openapi::document())
            .map_err(|error| StartError::because("No OpenAPI document", error))?),
        Command::Proxy(wanted) => proxy::print(&Settings::sketch(arguments.config.as_deref())?, &wanted),
        Command::Asyncapi => {
            say(&asyncapi::text().map_err(|error| StartError::because("No AsyncAPI document", error))?)
        }
        Command::TuneHash { target_ms } => tune_hash(target_ms),
        Command::Version => say(concat!("doorward ", env!("CARGO_PKG_VERSION"))),
    }
}

/// The settings to copy into the file.
fn tune_hash(target_ms: u64) -> Result<(), StartError> {
    let tuned = auth::tune_hash(std::time::Duration::from_millis(target_ms))
        .map_err(|error| StartError::because("Hashing could not be measured", error))?;
    let auth::TunedHash { memory_kib, iterations, parallelism, took } = tuned;
    say(&format!(
        "# One hash takes {} ms on this machine, alone on a core.\n[auth.hash]\nmemory_kib = {memory_kib}\niterations = \
         {iterations}\nparallelism = {parallelism}",
        took.as_millis()
    ))?;
    if took.as_millis() > u128::from(target_ms) {
        say("# That is longer than you wished; less would not be safe.")?;
    }
    Ok(())
}

/// How long a thread that still waits for the disk may take at the end. What it has not committed by then is not done.
const LAST: std::time::Duration = std::time::Duration::from_secs(5);

/// Works to the end.
fn block_on(work: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("doorward").build();
    let runtime = runtime.map_err(|error| StartError::because("No threads could be started", error))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST);
    done
}

/// Writes a line to standard output; that nobody reads it is no error.
pub(crate) fn say(line: &str) -> Result<(), StartError> {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    Ok(())
}
