//! Any text at all as a secret, a foreign hash, a client or a password: it is refused, or it is what it was
//! read from. What is behind the accepted texts is tried in the tests of each.

use contracts::UserId;
use proptest::prelude::*;

use super::secret::{Invitation, Refresh, Secret, SecretKind};
use super::{Device, ForeignHash, Password, Policy, about};

/// Hashes that are read, to be damaged.
const HASHES: [&str; 8] = [
    "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K",
    "$6$rounds=1500$saltstring16char$kJdDVi5WuFJb1MZ6.4TtKxxk/DWN6RjGUwPDfWRBcwQu8rWTwayL0DFdt/tj4s6sjgq8JxUaTgW4fcMZgwR9A/",
    "$scrypt$ln=12,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k",
    "pbkdf2_sha256$20000$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c=",
    "AQAAAAEAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHRgyxa/Saf1Os32u1rFC7h4tYsBLoM449WEeinjWFNIJQ==",
    "$pbkdf2-sha256$29000$c2l4dGVlbiBieXRlIHNsdA$JNhzAr3HOLBXZLhXvaaAnaKkqcBrpydrWM3wWFqRBH8",
    "{SSHA}KimvTMsDXtlKSwtp8gD62FpPDC0BAnNhbHRlZDg=",
    "$argon2id$v=19$m=64,t=3,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
];

/// The secret comes back as it was read, and is none of another kind.
fn reads_back<K: SecretKind, Other: SecretKind>(text: &str) -> bool {
    Secret::<K>::parse(text).is_none_or(|it| it.reveal() == text && Secret::<Other>::parse(text).is_none())
}

proptest! {
    #[test]
    fn a_secret_is_the_text_it_was_read_from(body in "[A-Za-z0-9_-]{43}", text in "dw[vspier]_[A-Za-z0-9_=-]{40,46}", other in any::<String>()) {
        for text in [format!("dwr_{body}"), format!("dwi_{body}"), text, other] {
            prop_assert!(reads_back::<Refresh, Invitation>(&text) && reads_back::<Invitation, Refresh>(&text), "{}", text);
        }
    }

    #[test]
    fn a_damaged_hash_is_refused_or_costs_no_more(
        hash in prop::sample::select(&HASHES[..]), at in 0..120_usize, put in "[$=,0-9a-zA-Z/+.{}]{0,6}", cut in 0..6_usize,
        other in any::<String>(), shaped in "\\$[a-z0-9-]{1,14}(\\$[a-z0-9=,+/]{0,20}){0,4}",
    ) {
        prop_assert!(ForeignHash::parse(hash).is_some(), "{}", hash);
        let at = at.min(hash.len());
        let (before, rest) = hash.split_at(at);
        let damaged = format!("{before}{put}{}", rest.get(cut..).unwrap_or_default());
        for text in [damaged, other, shaped] {
            let name = ForeignHash::parse(&text).map(|it| it.name());
            prop_assert_eq!(ForeignHash::parse(&text).map(|it| it.name()), name);
            prop_assert!(name.is_none() || (text.len() <= 1_024 && text.is_ascii()));
        }
    }

    #[test]
    fn whatever_a_client_calls_itself_it_is_one_device(agent in any::<String>(), version in "[0-9.]{0,9}") {
        let (key, user) = ([7; 32], UserId::new());
        let address = Some("192.0.2.1".parse().unwrap());
        let once = Device::of(address, Some(&agent)).fingerprint(&key, user).0;
        let updated = Device::of(address, Some(&format!("{agent}{version}"))).fingerprint(&key, user).0;
        prop_assert_eq!(once, updated);
    }

    #[test]
    fn a_password_is_weighed_whatever_it_holds(text in any::<String>(), email in any::<String>(), name in any::<String>()) {
        let words = about(Some(&email), Some(&name));
        let policy = Policy { min_length: 8, context_words: &[] };
        let typed = Password::typed(text.clone());
        prop_assert_eq!(typed.as_bytes(), text.as_bytes());
        let short = text.chars().count() < 8;
        prop_assert!(!short || !policy.broken(&typed, &words).is_empty());
    }
}
