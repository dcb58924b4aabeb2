//! Everything that is known here about one person, for the person's own copy.

use crate::error::Error;
use crate::model::Holder;
use crate::service::Service;
use crate::store;
use contracts::{PersonalData, UserId};
use serde_json::{Value, json};

impl Service {
    /// The sections `role_assignments` (what was given to the person, ended ones included) and `groups` (those the
    /// person is directly in).
    pub(crate) async fn export_person_data(&self, user: UserId) -> Result<PersonalData, Error> {
        let who = Holder::User(user);
        let mut c = self.db.read().await?;
        let assignments = store::assignments::of_subject(&mut c, who).await?;
        let assignments: Vec<Value> = assignments
            .iter()
            .map(|one| {
                json!({
                    "id": one.id,
                    "role": one.role,
                    "resource": one.resource,
                    "expires_at": one.expires_at,
                    "created_at": one.created_at,
                })
            })
            .collect();
        let mut groups = vec![];
        for member in store::members::of_member(&mut c, who).await? {
            let group = store::groups::find(&mut c, member.group).await?;
            let name = group.map(|group| group.name);
            groups.push(json!({ "id": member.group, "name": name, "added_at": member.added_at }));
        }
        let sections = [("role_assignments", Value::from(assignments)), ("groups", Value::from(groups))];
        let sections = sections.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(PersonalData { sections })
    }
}
