//! Nobody has somebody at his disposal who may do more than he: whoever moves an address can soon log in as its owner.
//!
//! Doorward's own modules and commands are not asked: they act on a rule of the product.

use contracts::permissions::FindOutranking;
use contracts::{Actor, Caller, UserId};

use crate::error::Error;
use crate::service::Service;

impl Service {
    /// Passes when the caller may do all that this person may do.
    ///
    /// # Errors
    /// 403 when the person may do more; 503.
    pub(super) async fn refuse_outranking(&self, caller: &Caller, user: UserId) -> Result<(), Error> {
        if self.outranking(caller, vec![user]).await?.is_empty() { Ok(()) } else { Err(Error::Outranked) }
    }

    /// Who of these people may do more than the caller.
    pub(super) async fn outranking(&self, caller: &Caller, users: Vec<UserId>) -> Result<Vec<UserId>, Error> {
        match caller.actor {
            Actor::User { id: actor, .. } if !users.is_empty() => {
                let ask = FindOutranking { actor, users };
                Ok(self.permissions.find_outranking(caller, ask).await?.users)
            }
            Actor::User { .. } | Actor::Module { .. } => Ok(Vec::new()),
            Actor::Anonymous => Err(Error::Outranked),
        }
    }
}
