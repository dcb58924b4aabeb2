//! A group, and all groups together: who is inside of whom, and what each of them holds.
//!
//! The graph is worked out once for a revision and then only read. Circles and chains that are too deep are refused
//! when a group is put into another; reading never relies on that and always ends. Which users are in a group is not
//! here: there are too many of them.

use crate::model::{Held, RoleName};
use contracts::{Fields, GroupId, Time};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The longest chain of groups inside of groups, both ends included.
pub(crate) const MAX_GROUP_DEPTH: usize = 16;

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 500;

/// A group as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    /// Its id, which is also its address.
    pub(crate) id: GroupId,
    /// Its name, of the same shape as a role's, and unique.
    pub(crate) name: RoleName,
    /// What it is for, in the words of whoever made it.
    pub(crate) description: Option<String>,
    /// Counts the changes of name and description, from 1.
    pub(crate) revision: i64,
    /// When it was made.
    pub(crate) created_at: Time,
    /// When its name or description was last changed.
    pub(crate) updated_at: Time,
}

/// A group that somebody wants to make, or the state that somebody wants it to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupDraft {
    /// The name.
    pub(crate) name: RoleName,
    /// What it is for.
    pub(crate) description: Option<String>,
}

impl GroupDraft {
    /// Reads a group.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub(crate) fn parse(name: &str, description: Option<String>) -> contracts::Result<Self> {
        let mut fields = Fields::default();
        let rule = "A group's name starts with a lower-case letter and has at most 63 lower-case letters, digits, dots, _ and -.";
        let name = fields.take("/name", name.parse::<RoleName>().map_err(|_| ("malformed", rule.into())));
        if description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            fields.broken("/description", "too_long", format!("At most {MAX_DESCRIPTION} characters."));
        }
        if description.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            fields.broken(
                "/description",
                "control_character",
                "No line breaks and other control characters.",
            );
        }
        fields.finish()?;
        let name = name.ok_or_else(|| contracts::Error::internal("a group was refused without a reason"))?;
        Ok(Self { name, description })
    }

    /// The group that is now to be kept, after `before` when there was one.
    pub(crate) fn into_group(self, id: GroupId, before: Option<&Group>, now: Time) -> Group {
        Group {
            id,
            name: self.name,
            description: self.description,
            revision: before.map_or(1, |before| before.revision.saturating_add(1)),
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
        }
    }
}

/// Why a group can't be put into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NestingError {
    /// The group would be inside of itself.
    Cycle,
    /// Some chain would be longer than [`MAX_GROUP_DEPTH`].
    TooDeep,
}

/// The groups of one revision, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct GroupGraph {
    nodes: HashMap<GroupId, Node>,
}

/// A group with its neighbours.
#[derive(Debug)]
struct Node {
    name: RoleName,
    /// The groups it is directly inside of, in order.
    parents: Vec<GroupId>,
    /// The groups that are directly inside of it, in order.
    children: Vec<GroupId>,
    /// What was given to it.
    held: Vec<Held>,
}

impl GroupGraph {
    /// Works out the graph: groups with their names, `(outer, inner)` pairs, and what groups were given.
    pub(crate) fn new(
        groups: Vec<(GroupId, RoleName)>,
        nested: Vec<(GroupId, GroupId)>,
        held: Vec<(GroupId, Held)>,
    ) -> Self {
        let node = |name| Node { name, parents: vec![], children: vec![], held: vec![] };
        let mut nodes: HashMap<GroupId, Node> =
            groups.into_iter().map(|(id, name)| (id, node(name))).collect();
        for (outer, inner) in nested {
            if nodes.contains_key(&outer) && nodes.contains_key(&inner) {
                nodes.entry(outer).and_modify(|node| node.children.push(inner));
                nodes.entry(inner).and_modify(|node| node.parents.push(outer));
            }
        }
        for (id, held) in held {
            nodes.entry(id).and_modify(|node| node.held.push(held));
        }
        for node in nodes.values_mut() {
            node.parents.sort_unstable();
            node.children.sort_unstable();
        }
        Self { nodes }
    }

    /// Whether there is such a group.
    pub(crate) fn contains(&self, id: GroupId) -> bool {
        self.nodes.contains_key(&id)
    }

    /// All groups, in order.
    pub(crate) fn ids(&self) -> Vec<GroupId> {
        let mut ids: Vec<GroupId> = self.nodes.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The name of a group.
    pub(crate) fn name(&self, id: GroupId) -> Option<&RoleName> {
        self.nodes.get(&id).map(|node| &node.name)
    }

    /// What was given to a group itself.
    pub(crate) fn held(&self, id: GroupId) -> &[Held] {
        self.nodes.get(&id).map_or(&[], |node| &node.held)
    }

    /// The groups a group is directly inside of.
    pub(crate) fn parents(&self, id: GroupId) -> &[GroupId] {
        self.nodes.get(&id).map_or(&[], |node| &node.parents)
    }

    /// These groups and all they are inside of, each once, near ones first; those that don't exist are left out.
    pub(crate) fn above(&self, start: &[GroupId]) -> Vec<GroupId> {
        self.reach(start, |node| &node.parents)
    }

    /// These groups and all that are inside of them, each once, near ones first.
    pub(crate) fn below(&self, start: &[GroupId]) -> Vec<GroupId> {
        self.reach(start, |node| &node.children)
    }

    fn reach(&self, start: &[GroupId], next: fn(&Node) -> &Vec<GroupId>) -> Vec<GroupId> {
        let mut seen = HashSet::new();
        let mut found: Vec<GroupId> =
            start.iter().copied().filter(|id| self.contains(*id) && seen.insert(*id)).collect();
        let mut at = 0;
        while let Some(node) = found.get(at).and_then(|id| self.nodes.get(id)) {
            at += 1;
            found.extend(next(node).iter().copied().filter(|id| seen.insert(*id)));
        }
        found
    }

    /// Whether `inner` may be put into `outer`.
    ///
    /// # Errors
    /// What would be wrong then.
    pub(crate) fn check(&self, outer: GroupId, inner: GroupId) -> Result<(), NestingError> {
        if self.above(&[outer]).contains(&inner) {
            return Err(NestingError::Cycle);
        }
        let depth = self.layers(outer, |node| &node.parents) + self.layers(inner, |node| &node.children);
        if depth > MAX_GROUP_DEPTH { Err(NestingError::TooDeep) } else { Ok(()) }
    }

    /// The longest chain from a group in one direction, the group included; in a graph without circles the number of
    /// layers. Stops counting where it is too long anyway.
    fn layers(&self, from: GroupId, next: fn(&Node) -> &Vec<GroupId>) -> usize {
        let mut layer = HashSet::from([from]);
        let mut depth = 0;
        while !layer.is_empty() && depth <= MAX_GROUP_DEPTH {
            depth += 1;
            layer = layer.iter().filter_map(|id| self.nodes.get(id)).flat_map(next).copied().collect();
        }
        depth
    }
}
