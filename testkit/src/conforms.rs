//! What every implementation of a contract must do: the near one, the one reached over HTTP, and the fake.
//!
//! A suite takes the contract and a world: the ids of things that the test put in place beforehand.

mod auth;

use contracts::notifications::{Notifications, Recipient, SendNotification};
use contracts::permissions::{AssignRole, Evaluate, Permissions, ResourceRef, SetStanding, Subject};
use contracts::users::{FindProfile, Profile, Users};
use contracts::{Caller, EmailAddress, ExportPerson, Kind, PersonalData, UserId};
use serde_json::Map;

pub use auth::{AuthWorld, auth};

/// The suite of [`Users`]: `profile` must be there, as it must be found.
pub async fn users(users: &dyn Users, profile: &Profile) {
    let caller = &Caller::module("testkit");
    let found = users.find_profile(caller, FindProfile { user: profile.id }).await.unwrap();
    assert_eq!(found.as_ref(), Some(profile));
    assert_eq!(users.find_profile(caller, FindProfile { user: UserId::new() }).await.unwrap(), None);
}

/// The suite of [`Permissions`]: `allowed` must hold `documents:read` on everything and nothing else, the role
/// `editor` must be there, and the two administrators must be the only ones who can log in.
pub async fn permissions(permissions: &dyn Permissions, allowed: UserId, administrators: [UserId; 2]) {
    let caller = &Caller::module("testkit");
    let may = async |user: UserId, action: &str, resource_type: &str| {
        let ask = Evaluate {
            subject: Subject::user(user),
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: Some("1".to_owned()),
            resource_properties: Map::new(),
        };
        permissions.evaluate(caller, ask).await.unwrap()
    };
    let yes = may(allowed, "read", "documents").await;
    assert!(yes.allowed && yes.reason.is_some_and(|reason| reason.permission == "documents:read"));
    assert!(!may(allowed, "write", "documents").await.allowed);
    assert!(!may(allowed, "read", "documents-archive").await.allowed, "types are not compared by prefix");
    assert!(!may(UserId::new(), "read", "documents").await.allowed);

    let ask = |role: &str, resource: Option<ResourceRef>| AssignRole {
        subject: Subject::user(allowed),
        role: role.to_owned(),
        resource,
        expires_at: None,
    };
    let one = ResourceRef { resource_type: "documents".to_owned(), id: "1".to_owned() };
    let first = permissions.assign_role(caller, ask("editor", None)).await.unwrap();
    let again = permissions.assign_role(caller, ask("editor", None)).await.unwrap();
    assert_eq!(first, again, "assigning twice changes nothing");
    let scoped = permissions.assign_role(caller, ask("editor", Some(one))).await.unwrap();
    assert_ne!(first, scoped, "the same role on one resource is another assignment");
    let unknown = permissions.assign_role(caller, ask("no-such-role", None)).await.unwrap_err();
    assert_eq!(unknown.kind, Kind::NotFound);

    let stand = async |user, active| permissions.set_standing(caller, SetStanding { user, active }).await;
    let [one, other] = administrators;
    for _ in 0..2 {
        assert!(!stand(one, false).await.unwrap().active, "asking twice changes nothing");
    }
    let last = stand(other, false).await.unwrap_err();
    assert_eq!((last.kind, &*last.code), (Kind::Conflict, "permissions.last_administrator"));
    for _ in 0..2 {
        assert!(stand(one, true).await.unwrap().active);
    }
    assert!(!stand(other, false).await.unwrap().active, "now there is another one");
    assert!(stand(other, true).await.unwrap().active);
    assert!(!stand(allowed, false).await.unwrap().active, "who is no administrator may go");
    assert!(may(allowed, "read", "documents").await.allowed, "decisions don't change by it");

    let export =
        async |user| permissions.export_person(caller, ExportPerson { user }).await.unwrap().sections;
    let sections = export(allowed).await;
    assert_eq!(sections.keys().collect::<Vec<_>>(), ["groups", "role_assignments"]);
    let assigned = serde_json::to_string(&sections["role_assignments"]).unwrap();
    assert!(assigned.contains("editor"), "{assigned}");
    let nobody = export(UserId::new()).await;
    assert!(nobody.values().all(|section| section.as_array().is_some_and(Vec::is_empty)), "{nobody:?}");
}

/// The suite of [`Notifications`]: the template `announcement` must be there, with the variables of `data`.
pub async fn notifications(notifications: &dyn Notifications, data: &Map<String, serde_json::Value>) {
    let caller = &Caller::module("testkit");
    let ask = |template: &str, key: Option<&str>| SendNotification {
        to: Recipient::Email("mia@example.org".parse_address()),
        template: template.to_owned(),
        data: data.clone(),
        channels: None,
        category: "general".to_owned(),
        deduplication_key: key.map(ToOwned::to_owned),
    };
    let send = async |template, key| notifications.send(caller, ask(template, key)).await;
    let first = send("announcement", Some("one")).await.unwrap();
    assert_eq!(send("announcement", Some("one")).await.unwrap(), first, "the same key is the same message");
    assert_ne!(send("announcement", Some("two")).await.unwrap(), first);
    assert_ne!(send("announcement", None).await.unwrap(), send("announcement", None).await.unwrap());
    let unknown = send("no-such-template", None).await.unwrap_err();
    assert_eq!(
        (unknown.kind, unknown.fields.first().map(|f| f.pointer.as_str())),
        (Kind::Invalid, Some("/template"))
    );
    let user = UserId::new();
    let to_person = SendNotification { to: Recipient::User(user), ..ask("announcement", None) };
    notifications.send(caller, to_person).await.unwrap();
    let known = notifications.export_person(caller, ExportPerson { user }).await.unwrap();
    let sections: Vec<&str> = known.sections.keys().map(String::as_str).collect();
    assert_eq!(sections, ["inbox", "notification_preferences", "notifications"]);
    let count = |known: &PersonalData| known.sections["notifications"].as_array().unwrap().len();
    assert_eq!(count(&known), 1, "one's own messages");
    let stranger = ExportPerson { user: UserId::new() };
    let unknown = notifications.export_person(caller, stranger).await.unwrap();
    assert_eq!(count(&unknown), 0, "and nobody else's");
}

trait ParseAddress {
    fn parse_address(&self) -> EmailAddress;
}

impl ParseAddress for str {
    fn parse_address(&self) -> EmailAddress {
        EmailAddress::parse(self).unwrap()
    }
}
