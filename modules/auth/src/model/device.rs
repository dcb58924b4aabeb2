//! Where somebody logs in from and with what, as far as a plain interface without cookies can tell: the network and
//! what the client calls itself. Neither is stored; a keyed hash of both and the account is.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use contracts::UserId;

use super::Network;

/// A network and a kind of client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Device {
    network: Network,
    agent: String,
}

/// What is kept of a device: HMAC-SHA-256 under a key of this installation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Device {
    /// What the digits of the client's name say is left out: an update makes no new device.
    pub(crate) fn of(address: Option<IpAddr>, agent: Option<&str>) -> Self {
        let agent = agent.unwrap_or_default().to_lowercase();
        let agent = agent.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect();
        Self { network: Network::of(address), agent }
    }

    /// Whether anything is known about it.
    pub(crate) fn is_somewhere(&self) -> bool {
        self.network != Network::Unknown
    }

    /// The device, for this account.
    pub(crate) fn fingerprint(&self, key: &[u8; 32], account: UserId) -> Fingerprint {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        for part in [account.to_string(), self.network.to_string(), self.agent.clone()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(address: &str, agent: &str) -> Device {
        Device::of(Some(address.parse().unwrap()), Some(agent))
    }

    #[test]
    fn an_update_or_a_neighbouring_address_is_the_same_device() {
        let (key, user) = ([7; 32], UserId::new());
        let known = device("192.0.2.1", "Browser/119.0.1 (X11; Linux)").fingerprint(&key, user);
        for same in [
            device("192.0.2.77", "browser/120.0 (X11; Linux)"),
            device("::ffff:192.0.2.1", "Browser/1 (X11; Linux)"),
        ] {
            assert!(same.fingerprint(&key, user) == known);
        }
    }

    #[test]
    fn another_network_client_account_or_key_is_another_device() {
        let (key, user) = ([7; 32], UserId::new());
        let known = device("192.0.2.1", "a").fingerprint(&key, user);
        assert!(device("192.0.3.1", "a").fingerprint(&key, user) != known);
        assert!(device("192.0.2.1", "b").fingerprint(&key, user) != known);
        assert!(device("192.0.2.1", "a").fingerprint(&[8; 32], user) != known);
        assert!(device("192.0.2.1", "a").fingerprint(&key, UserId::new()) != known);
        assert!(!Device::of(None, Some("a")).is_somewhere());
    }
}
