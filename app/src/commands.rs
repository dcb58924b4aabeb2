//! What an operator does from the command line beside a server that may be running: change the signing key, and make
//! an administrator.
//!
//! On SQLite the commands take the file's own lock for as long as they write, as the server does, and the server hears
//! of what they did by the events they leave: within about a second. They keep nothing in memory themselves.

use std::io::Read;
use std::path::{Path, PathBuf};

use auth::{Appointment, FirstAccess, Service};
use clap::Args;
use contracts::{Caller, Error};
use platform::tokens::ServiceKey;

use crate::settings::Settings;
use crate::{StartError, compose, say};

/// Who is asking, in the audit trail.
const CALLER: &str = "doorward-cli";

/// Who becomes administrator, and how they get in.
#[derive(Debug, Clone, Args)]
pub(crate) struct NewAdministrator {
    /// The address to log in with
    #[arg(long)]
    email: String,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
struct Access {
    /// Read the password from a file; a line end behind it does not belong to it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Send an invitation to the address, by which its owner chooses a password
    #[arg(long)]
    invite: bool,
}

impl Access {
    fn read(&self) -> Result<FirstAccess, StartError> {
        if self.invite {
            return Ok(FirstAccess::Invitation);
        }
        let text = match &self.password_file {
            Some(file) => read_file(file)?,
            None => read_input()?,
        };
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        Ok(FirstAccess::Password(text.to_owned()))
    }
}

fn read_file(file: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(file).map_err(|error| {
        StartError::because(&format!("The password in {} can't be read", file.display()), error)
    })
}

fn read_input() -> Result<String, StartError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| StartError::because("The password can't be read", error))?;
    Ok(text)
}

/// Makes an administrator, and tells what became of the account. Who is one already stays as he is.
pub(crate) async fn create_administrator(
    settings: &Settings,
    new: &NewAdministrator,
) -> Result<(), StartError> {
    let access = new.access.read()?;
    let invited = new.access.invite;
    let auth = compose::auth_alone(settings).await?;
    let appointed = auth.appoint_administrator(&Caller::module(CALLER), &new.email, access).await;
    let appointed = appointed.map_err(|error| refused("Nobody was made administrator", &error))?;
    let how = match (appointed.how, invited) {
        (Appointment::Already, _) => {
            "That was so before; nothing changed, and the account keeps its password."
        }
        (Appointment::Made, true) => "An invitation goes to the address as soon as Doorward runs.",
        (Appointment::Made, false) => "The password is good for logging in now.",
        (Appointment::TakenOver, true) => {
            "The account was there already and was taken over: its password is forgotten, its sessions are ended, its \
             links are closed. An invitation goes to the address as soon as Doorward runs."
        }
        (Appointment::TakenOver, false) => {
            "The account was there already and was taken over: its sessions are ended, its links are closed, and only \
             the new password is good for logging in."
        }
    };
    say(&format!("User {} is administrator. {how}", appointed.user))
}

/// Makes a new signing key.
pub(crate) async fn rotate_keys(settings: &Settings, compromised: bool) -> Result<(), StartError> {
    let auth: Service = compose::auth_alone(settings).await?;
    let rotated = auth.rotate_keys(&Caller::module(CALLER), compromised).await;
    let rotated = rotated.map_err(|error| refused("The key was not changed", &error))?;
    let what = if compromised {
        "It signs from now on. Access tokens of the older keys are refused by every process within seconds; whoever is \
         logged in gets new ones with the refresh token."
            .to_owned()
    } else {
        format!(
            "It signs from {} on; the older keys are believed until {}.",
            rotated.signs_from, rotated.retired_at
        )
    };
    say(&format!("Made the signing key {}. {what}", rotated.kid))
}

/// Prints the public half of this service's own key.
pub(crate) fn show_service_key(settings: &Settings) -> Result<(), StartError> {
    let key = ServiceKey::parse(settings.peers.key.expose()).map_err(|error| {
        let why = error.to_string().replace("master ", "");
        StartError::because("peers.key can't be used", why)
    })?;
    say(&key.public())
}

/// What was wrong, with every broken rule.
fn refused(what: &str, error: &Error) -> StartError {
    let mut sentences = vec![StartError::caused(what, error).0];
    sentences.extend(error.fields.iter().map(|field| format!("{}: {}", field.pointer, field.message)));
    StartError(sentences.join("\n"))
}
