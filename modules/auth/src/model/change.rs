//! What an account becomes when somebody who may changes its address or its state.

use contracts::auth::AccountState;
use contracts::{EmailAddress, Time};

use super::{Account, StoredEmail};

impl Account {
    /// The account with this address and in this state, as far as they are given.
    ///
    /// A new address has to be proven, unless who changes it vouches for it by saying `active`. A deleted account that
    /// is restored is what it was: disabled when it was, else active when its address is proven, and unverified otherwise.
    /// Once the address was proven, the password of a registration is good for it never again, whatever becomes of it.
    pub(crate) fn changed(
        &self,
        email: Option<&EmailAddress>,
        state: Option<AccountState>,
        now: Time,
    ) -> Self {
        use AccountState::{Active, Deleted, Disabled, Unverified};
        let email = email.map(|email| StoredEmail(email.as_str().to_owned())).filter(|it| *it != self.email);
        let moved = email.is_some();
        let proven = self.verified_at.filter(|_| !moved);
        let state = match (state, self.state) {
            (None, Active) if moved => Unverified,
            (Some(Active | Unverified), Deleted) if self.disabled_when_deleted => Disabled,
            (Some(Active | Unverified), Deleted) => proven.map_or(Unverified, |_| Active),
            (wished, was) => wished.unwrap_or(was),
        };
        let verified_at = match state {
            Active => proven.or(Some(now)),
            Unverified => None,
            Disabled | Deleted => proven,
        };
        let deleted_at = (state == Deleted).then(|| self.deleted_at.unwrap_or(now));
        let was_disabled = self.state == Disabled || self.state == Deleted && self.disabled_when_deleted;
        let disabled_when_deleted = state == Deleted && was_disabled;
        let self_registered = self.self_registered && !moved && self.verified_at.is_none();
        Self {
            email: email.unwrap_or_else(|| self.email.clone()),
            state,
            verified_at,
            self_registered,
            deleted_at,
            disabled_when_deleted,
            ..self.clone()
        }
    }

    /// Whether the other one has another address or another state.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.email != other.email || self.state != other.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AccountState::{Active, Deleted, Disabled, Unverified};
    use contracts::UserId;

    const THEN: Time = Time::MIN;
    const NOW: Time = Time::MAX;

    fn account(state: AccountState, proven: bool) -> Account {
        Account {
            id: UserId::new(),
            email: StoredEmail("mia@example.test".to_owned()),
            state,
            verified_at: proven.then_some(THEN),
            credential_version: 0,
            revision: 1,
            self_registered: true,
            deleted_at: (state == Deleted).then_some(THEN),
            disabled_when_deleted: false,
            created_at: THEN,
            updated_at: THEN,
        }
    }

    fn becomes(was: AccountState, proven: bool, wished: AccountState) -> (AccountState, Option<Time>) {
        let after = account(was, proven).changed(None, Some(wished), NOW);
        assert_eq!(after.deleted_at.is_some(), after.state == Deleted);
        (after.state, after.verified_at)
    }

    #[test]
    fn a_restored_account_is_what_it_was() {
        assert_eq!(becomes(Deleted, true, Active), (Active, Some(THEN)));
        assert_eq!(becomes(Deleted, true, Unverified), (Active, Some(THEN)));
        assert_eq!(becomes(Deleted, false, Active), (Unverified, None));
        assert_eq!(becomes(Deleted, true, Disabled), (Disabled, Some(THEN)));
    }

    #[test]
    fn a_disabled_account_is_disabled_when_it_is_restored() {
        for proven in [true, false] {
            let mut deleted = account(Disabled, proven);
            // Deleting it twice forgets nothing.
            for _ in 0..2 {
                deleted = deleted.changed(None, Some(Deleted), NOW);
                assert!(deleted.disabled_when_deleted);
            }
            let new = EmailAddress::parse("new@example.test").unwrap();
            for (email, wished) in
                [(None, Active), (None, Unverified), (None, Disabled), (Some(&new), Active)]
            {
                let restored = deleted.changed(email, Some(wished), NOW);
                assert_eq!((restored.state, restored.deleted_at), (Disabled, None));
                let enabled = restored.changed(None, Some(Active), NOW);
                let again = enabled.changed(None, Some(Deleted), NOW).changed(None, Some(Active), NOW);
                assert_eq!(again.state, Active, "it was not disabled this time");
            }
        }
    }

    #[test]
    fn whoever_proved_the_address_takes_no_password_of_a_registration() {
        for state in [Unverified, Disabled, Deleted] {
            assert!(!account(Active, true).changed(None, Some(state), NOW).self_registered, "{state:?}");
            assert!(account(Unverified, false).changed(None, Some(state), NOW).self_registered, "{state:?}");
        }
    }

    #[test]
    fn active_is_a_word_of_honour_and_unverified_takes_it_back() {
        assert_eq!(becomes(Unverified, false, Active), (Active, Some(NOW)));
        assert_eq!(becomes(Disabled, true, Active), (Active, Some(THEN)));
        assert_eq!(becomes(Active, true, Unverified), (Unverified, None));
        assert_eq!(becomes(Active, true, Disabled), (Disabled, Some(THEN)));
    }

    #[test]
    fn deleting_twice_does_not_begin_the_window_anew() {
        assert_eq!(account(Active, true).changed(None, Some(Deleted), NOW).deleted_at, Some(NOW));
        assert_eq!(account(Deleted, true).changed(None, Some(Deleted), NOW).deleted_at, Some(THEN));
    }

    #[test]
    fn a_new_address_is_nobodys_until_it_is_proven() {
        let new = EmailAddress::parse("new@example.test").unwrap();
        let after = |state, wished| {
            let after = account(state, true).changed(Some(&new), wished, NOW);
            assert!(after.email.0 == new.as_str() && !after.self_registered);
            (after.state, after.verified_at)
        };
        assert_eq!(after(Active, None), (Unverified, None));
        assert_eq!(after(Active, Some(Active)), (Active, Some(NOW)));
        assert_eq!(after(Disabled, None), (Disabled, None));
        assert_eq!(after(Deleted, Some(Active)), (Unverified, None));
        let same = EmailAddress::parse("mia@example.test").unwrap();
        let before = account(Active, true);
        assert!(!before.changed(Some(&same), Some(Active), NOW).differs(&before));
    }
}
