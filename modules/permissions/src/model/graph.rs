//! All roles together: who inherits from whom, and what each of them allows in the end.
//!
//! The graph is worked out once for a revision and then only read. What must not be in it (circles, unknown names,
//! chains that are too deep) is refused when a role is written; reading never relies on that and always ends.

use crate::model::decision::Rights;
use crate::model::{Permission, Role, RoleName};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest chain of roles, counted from a role down to the last one it inherits, both included.
pub(crate) const MAX_DEPTH: usize = 16;

/// Why a role doesn't fit among the others. The numbers are positions in its list of inherited roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GraphError {
    /// These are no roles.
    Unknown(Vec<usize>),
    /// These lead back to the role itself.
    Cycle(Vec<usize>),
    /// Some chain would be longer than [`MAX_DEPTH`].
    TooDeep,
}

/// The roles of one revision, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct RoleGraph {
    nodes: HashMap<RoleName, Node>,
}

/// A role with everything that follows from it.
#[derive(Debug)]
struct Node {
    role: Role,
    /// Itself and all it inherits, near ones first.
    reach: Vec<RoleName>,
    /// What all of those allow together.
    rights: Rights,
}

/// One permission of a role, and the role down the chain that brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective<'g> {
    /// The permission.
    pub(crate) permission: &'g Permission,
    /// The role that lists it.
    pub(crate) from: &'g RoleName,
}

impl RoleGraph {
    /// Works out the graph of these roles.
    pub(crate) fn new(roles: Vec<Role>) -> Self {
        let by_name: HashMap<RoleName, Role> =
            roles.into_iter().map(|role| (role.name.clone(), role)).collect();
        let nodes = by_name
            .values()
            .map(|role| {
                let reach = reach(&by_name, role);
                let listed = reach.iter().filter_map(|name| by_name.get(name)).flat_map(|r| &r.permissions);
                let mut rights = Rights::default();
                rights.add(&role.name, listed);
                (role.name.clone(), Node { role: role.clone(), reach, rights })
            })
            .collect();
        Self { nodes }
    }

    /// The names of all roles, in order.
    pub(crate) fn names(&self) -> BTreeSet<&RoleName> {
        self.nodes.keys().collect()
    }

    /// One role.
    pub(crate) fn get(&self, name: &str) -> Option<&Role> {
        self.nodes.get(name).map(|node| &node.role)
    }

    /// What a role allows, inherited permissions included.
    pub(crate) fn rights(&self, name: &str) -> Option<&Rights> {
        self.nodes.get(name).map(|node| &node.rights)
    }

    /// A role and all it inherits, near ones first.
    pub(crate) fn reach(&self, name: &str) -> &[RoleName] {
        self.nodes.get(name).map_or(&[], |node| &node.reach)
    }

    /// The permissions of a role, inherited ones included, each with the role that lists it.
    pub(crate) fn effective(&self, name: &str) -> impl Iterator<Item = Effective<'_>> {
        self.nodes
            .get(name)
            .into_iter()
            .flat_map(|node| &node.reach)
            .filter_map(|from| self.get(from.as_str()))
            .flat_map(|role| {
                role.permissions.iter().map(|permission| Effective { permission, from: &role.name })
            })
    }

    /// The different permissions of a role that need not be in the graph yet, in order.
    pub(crate) fn closure(&self, role: &Role) -> BTreeSet<Permission> {
        let inherited = role.inherits.iter().flat_map(|name| self.effective(name.as_str()));
        role.permissions.iter().cloned().chain(inherited.map(|found| found.permission.clone())).collect()
    }

    /// The roles that directly inherit from this one, in order.
    pub(crate) fn heirs(&self, name: &RoleName) -> BTreeSet<&RoleName> {
        let inherits = |node: &&Node| node.role.inherits.contains(name);
        self.nodes.values().filter(inherits).map(|node| &node.role.name).collect()
    }

    /// Whether the role, new or changed, fits among the others.
    ///
    /// # Errors
    /// What is wrong with the list of inherited roles.
    pub(crate) fn check(&self, role: &Role) -> Result<(), GraphError> {
        let positions = |wrong: &dyn Fn(&RoleName) -> bool| -> Vec<usize> {
            role.inherits.iter().enumerate().filter(|(_, name)| wrong(name)).map(|(at, _)| at).collect()
        };
        let unknown = positions(&|name| *name != role.name && !self.nodes.contains_key(name));
        if !unknown.is_empty() {
            return Err(GraphError::Unknown(unknown));
        }
        let circles = positions(&|name| {
            *name == role.name || self.nodes.get(name).is_some_and(|node| node.reach.contains(&role.name))
        });
        if !circles.is_empty() {
            return Err(GraphError::Cycle(circles));
        }
        if self.deepest_with(role) > MAX_DEPTH {
            return Err(GraphError::TooDeep);
        }
        Ok(())
    }

    /// The longest chain there would be with this role in place. Walks layer by layer from the roles that nobody
    /// inherits: in a graph without circles the number of layers is the longest chain.
    fn deepest_with(&self, role: &Role) -> usize {
        let inherits = |name: &RoleName| -> &[RoleName] {
            if *name == role.name {
                return &role.inherits;
            }
            self.get(name.as_str()).map_or(&[], |other| &other.inherits)
        };
        let mut layer: HashSet<&RoleName> = self.nodes.keys().chain([&role.name]).collect();
        let mut depth = 0;
        while !layer.is_empty() && depth <= MAX_DEPTH {
            depth += 1;
            layer = layer.into_iter().flat_map(inherits).collect();
        }
        depth
    }
}

/// The role and all it inherits, each once, near ones first. Ends whatever the roles say.
fn reach(roles: &HashMap<RoleName, Role>, role: &Role) -> Vec<RoleName> {
    let mut found = vec![role.name.clone()];
    let mut seen: HashSet<RoleName> = found.iter().cloned().collect();
    let mut next = 0;
    while let Some(current) = found.get(next).and_then(|name| roles.get(name)) {
        next += 1;
        for name in &current.inherits {
            if roles.contains_key(name) && seen.insert(name.clone()) {
                found.push(name.clone());
            }
        }
    }
    found
}
