//! Reading roles: one, and a page.

use crate::error::Error;
use crate::model::{Role, RoleName};
use crate::service::Service;
use crate::store;

impl Service {
    /// One role.
    pub(crate) async fn get_role(&self, name: &RoleName) -> Result<Role, Error> {
        let mut c = self.db.read().await?;
        store::roles::find(&mut c, name).await?.ok_or(Error::RoleNotFound)
    }

    /// The next roles by name, at most `limit`.
    pub(crate) async fn list_roles(&self, after: Option<&RoleName>, limit: i64) -> Result<Vec<Role>, Error> {
        let mut c = self.db.read().await?;
        Ok(store::roles::page(&mut c, after, limit).await?)
    }
}

/// Refuses the roles that ship with the product.
pub(super) fn changeable(role: &Role) -> Result<(), Error> {
    if role.name.is_builtin() { Err(Error::RoleBuiltin) } else { Ok(()) }
}
