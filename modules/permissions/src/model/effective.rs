//! All that one subject may do, worked out for one moment and kept until that changes: what a decision is read from.
//!
//! Working it out walks groups, assignments and roles once; deciding then compares a few words. It is good from the
//! moment it was worked out for until the first assignment ends, which it knows itself. What it leaves out: the way
//! from the subject to the permission, which `explain` finds when somebody asks.

use crate::model::decision::Rights;
use crate::model::{Decision, Own, Permission, Policy, Question, Resource, RoleName};
use contracts::Time;

/// What somebody may do, and from when until when that is true.
#[derive(Debug)]
pub(crate) struct Effective {
    /// The moment it was worked out for.
    from: Time,
    /// When the first assignment in it ends.
    until: Option<Time>,
    everywhere: Rights,
    /// By resource, in order.
    somewhere: Vec<(Resource, Rights)>,
}

impl Effective {
    /// Works out what somebody may do at that moment.
    pub(crate) fn new(policy: &Policy, own: &Own, now: Time) -> Self {
        let mut all = Self { from: now, until: None, everywhere: Rights::default(), somewhere: vec![] };
        if let Some(member) = policy.implicit(own) {
            all.everywhere.add(member, permissions(policy, member));
        }
        for held in policy.holdings(own).map(|holding| holding.held).filter(|held| held.lasts_beyond(now)) {
            all.until = all.until.into_iter().chain(held.expires_at).min();
            if let Some(rights) = all.rights_on(held.resource.as_ref()) {
                rights.add(&held.role, permissions(policy, &held.role));
            }
        }
        all
    }

    fn rights_on(&mut self, resource: Option<&Resource>) -> Option<&mut Rights> {
        let Some(resource) = resource else { return Some(&mut self.everywhere) };
        let place = match self.somewhere.binary_search_by(|(other, _)| other.cmp(resource)) {
            Ok(place) => place,
            Err(place) => {
                self.somewhere.insert(place, (resource.clone(), Rights::default()));
                place
            }
        };
        self.somewhere.get_mut(place).map(|(_, rights)| rights)
    }

    /// Whether it is true at that moment. Also false before it was worked out: a clock may be set back.
    pub(crate) fn is_good_at(&self, moment: Time) -> bool {
        self.from <= moment && self.until.is_none_or(|until| moment < until)
    }

    /// Decides about a thing as it is at a moment for which this is good.
    pub(crate) fn decide(&self, question: Question<'_>) -> Decision {
        let here = || self.on(question)?.find(question);
        self.everywhere.find(question).or_else(here).map_or(Decision::Refused, Decision::Allowed)
    }

    /// The rights on the one thing that is asked about. Type and id are compared apart.
    fn on(&self, question: Question<'_>) -> Option<&Rights> {
        let wanted = (question.resource_type, question.resource_id?);
        let place = self
            .somewhere
            .binary_search_by(|(other, _)| (other.kind.as_str(), other.id.as_str()).cmp(&wanted))
            .ok()?;
        self.somewhere.get(place).map(|(_, rights)| rights)
    }
}

fn permissions<'p>(policy: &'p Policy, role: &RoleName) -> impl Iterator<Item = &'p Permission> + use<'p> {
    let own = policy.roles.reach(role.as_str()).iter().filter_map(|name| policy.roles.get(name.as_str()));
    own.flat_map(|role| &role.permissions)
}
