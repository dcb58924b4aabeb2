//! Reading roles: one, a page, and all of them as a graph.

use crate::error::Error;
use crate::model::{Role, RoleGraph, RoleName};
use crate::service::Service;
use crate::store;
use platform::db::{self, DbConn};

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

/// The graph as the transaction sees it.
pub(super) async fn read(tx: &mut DbConn) -> db::Result<RoleGraph> {
    let (revision, roles) = store::graph::load(tx).await?;
    Ok(RoleGraph::new(revision, roles))
}

/// Refuses the roles that ship with the product.
pub(super) fn changeable(role: &Role) -> Result<(), Error> {
    if role.name.is_builtin() { Err(Error::RoleBuiltin) } else { Ok(()) }
}
