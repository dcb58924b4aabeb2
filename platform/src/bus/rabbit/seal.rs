//! Seals on messages: what says that an event comes from the module that it names, however many programs may write to the
//! broker.
//!
//! Subscribers do what an event says, so whoever could make one up could make himself an administrator. Every message has
//! a seal with the master key, which all processes of an installation share; and where a process has a key of its own
//! (`peers.key`), one with that as well. A process that has every module believes the first. One of several services
//! believes only the key of the service that has the event's module: no service can speak for another one, over the
//! broker as little as over HTTP. Left out: a message that is seen on the way and brought again is taken for one that comes
//! twice, as long as its event is remembered.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::{Error, Event, Module};

use crate::settings::MasterKey;
use crate::tokens::{PublicKey, ServiceKey};

/// What stands beside the body of a message: signatures over the body as it is, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// HMAC-SHA-256 with a key that is derived from the master key.
    pub(super) shared: String,
    /// The id of the process's own key, and what it signed (Ed25519).
    pub(super) own: Option<(String, String)>,
}

/// How this process seals what it tells, and whose seals it takes.
pub struct Seals {
    shared: hmac::Key,
    own: Option<ServiceKey>,
    /// Those of the other services; none where every module is here.
    keys: Option<Vec<(Module, PublicKey)>>,
}

impl Seals {
    /// For a process that has these modules, perhaps a key of its own, and knows those of others.
    #[must_use]
    pub fn new(
        master_key: &MasterKey,
        own: Option<ServiceKey>,
        here: &[Module],
        mut keys: Vec<(Module, PublicKey)>,
    ) -> Self {
        let shared = hmac::Key::new(hmac::HMAC_SHA256, &master_key.derive("events"));
        keys.extend(own.iter().flat_map(|own| here.iter().map(|module| (*module, own.public_key().clone()))));
        let split = here.len() < Module::ALL.len();
        Self { shared, own, keys: split.then_some(keys) }
    }

    /// Seals a body. It begins with a brace and thus is never what a token's signature is over.
    pub(super) fn seal(&self, body: &[u8]) -> Result<Seal, Error> {
        let sign = |key: &ServiceKey| Ok::<_, Error>((key.public_key().kid().to_owned(), key.sign(body)?));
        Ok(Seal {
            shared: URL_SAFE_NO_PAD.encode(hmac::sign(&self.shared, body)),
            own: self.own.as_ref().map(sign).transpose()?,
        })
    }

    /// Whether this body, which holds this event, was sealed by somebody who may tell it.
    ///
    /// # Errors
    /// Why not, in words for the log.
    pub(super) fn check(&self, event: &Event, body: &[u8], seal: &Seal) -> Result<(), &'static str> {
        let teller = event.source.trim_start_matches('/');
        if event.event_type.split('.').next() != Some(teller) {
            return Err("told by a module that it does not belong to");
        }
        let good = match &self.keys {
            None => {
                let signature = URL_SAFE_NO_PAD.decode(&seal.shared).unwrap_or_default();
                hmac::verify(&self.shared, body, &signature).is_ok()
            }
            Some(keys) => {
                let (kid, signature) = seal.own.as_ref().ok_or("sealed by no service")?;
                let named =
                    |(module, key): &&(Module, PublicKey)| module.as_str() == teller && key.kid() == kid;
                let (_, key) = keys.iter().find(named).ok_or("sealed with a key that is not its teller's")?;
                key.verifies(body, signature)
            }
        };
        if good { Ok(()) } else { Err("the seal is broken") }
    }
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").field("own", &self.own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use contracts::auth::AccountVerified;
    use contracts::{Caller, Time, UserId};

    use super::*;

    fn event() -> (Event, Vec<u8>) {
        let fact = AccountVerified { user: UserId::new() };
        let event = Event::of(&fact, &Caller::module("auth"), Time::from_seconds(1_800_000_000)).unwrap();
        let body = serde_json::to_vec(&event).unwrap();
        (event, body)
    }

    fn key() -> ServiceKey {
        ServiceKey::parse(&MasterKey::generate().unwrap().to_base64()).unwrap()
    }

    #[test]
    fn where_every_module_is_everywhere_the_master_key_seals() {
        let (master_key, (event, body)) = (MasterKey::generate().unwrap(), event());
        let seals = Seals::new(&master_key, None, &Module::ALL, Vec::new());
        let seal = seals.seal(&body).unwrap();
        assert_eq!(seals.check(&event, &body, &seal), Ok(()));
        assert!(seals.check(&event, &[&body[..], b" "].concat(), &seal).is_err(), "another body");
        let stranger = Seals::new(&MasterKey::generate().unwrap(), None, &Module::ALL, Vec::new());
        assert!(stranger.check(&event, &body, &seal).is_err(), "another installation");
        let empty = Seal { shared: String::new(), ..seal };
        assert!(seals.check(&event, &body, &empty).is_err());
        let keyed = Seals::new(&master_key, Some(key()), &Module::ALL, Vec::new());
        assert_eq!(
            seals.check(&event, &body, &keyed.seal(&body).unwrap()),
            Ok(()),
            "one of them has a key already"
        );
    }

    #[test]
    fn a_service_speaks_for_its_own_modules_and_for_no_other() {
        let (master_key, (event, body)) = (MasterKey::generate().unwrap(), event());
        let (auth, mailer) = (key(), key());
        let known = vec![
            (Module::Auth, auth.public_key().clone()),
            (Module::Notifications, mailer.public_key().clone()),
        ];
        let hearer = Seals::new(&master_key, Some(key()), &[Module::Permissions], known);
        let of = |own: &ServiceKey, here: Module| {
            Seals::new(&master_key, Some(own.clone()), &[here], Vec::new()).seal(&body).unwrap()
        };
        let honest = of(&auth, Module::Auth);
        assert_eq!(hearer.check(&event, &body, &honest), Ok(()));
        let forged = of(&mailer, Module::Notifications);
        assert!(hearer.check(&event, &body, &forged).unwrap_err().contains("not its teller's"));
        let renamed = Event { source: "/notifications".to_owned(), ..event.clone() };
        assert!(hearer.check(&renamed, &body, &forged).unwrap_err().contains("does not belong"));
        let (kid, signature) = (honest.own.clone().unwrap().0, forged.own.clone().unwrap().1);
        let borrowed = Seal { own: Some((kid, signature)), ..forged };
        assert!(hearer.check(&event, &body, &borrowed).unwrap_err().contains("broken"));
        let shared = Seals::new(&master_key, None, &Module::ALL, Vec::new()).seal(&body).unwrap();
        assert!(
            hearer.check(&event, &body, &shared).unwrap_err().contains("no service"),
            "all know that key"
        );
        let twin = Seals::new(&master_key, Some(auth), &[Module::Auth], Vec::new());
        assert_eq!(twin.check(&event, &body, &honest), Ok(()), "another process of the same service");
    }
}
