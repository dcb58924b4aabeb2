//! Events are promises: each fact, in its envelope, is kept as a golden file. A golden file changes only by gaining
//! fields, and today's code must read yesterday's files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use contracts::auth::{
    AccountEmailChanged, AccountPurged, AccountRegistered, AccountState, AccountStateChanged,
    AccountVerified, AdministratorAppointed, InvitationRequested, PasswordChanged, PasswordResetRequested,
    RefreshReused, RegistrationRepeated, SessionCreated, SessionRevoked, SignInNoticed, StandingDoubted,
    VerificationRequested,
};
use contracts::notifications::{
    MessageDelivered, MessageFailed, MessageQueued, MessageSent, MessageSuppressed,
    NotificationPreferencesChanged,
};
use contracts::permissions::{
    AssignmentCreated, AssignmentDeleted, GroupCreated, GroupDeleted, GroupMemberAdded, GroupMemberRemoved,
    GroupUpdated, RoleCreated, RoleDeleted, RoleUpdated, Subject,
};
use contracts::users::{PreferenceChanged, UserCreated, UserUpdated};
use contracts::{
    Actor, AssignmentId, Caller, EmailAddress, Event, EventId, Fact, GroupId, NotificationId,
    OneTimeRequestId, SessionId, Time, UserId,
};
use uuid::uuid;

const USER: UserId = UserId::from_uuid(uuid!("01900000-0000-7000-8000-000000000001"));
const SESSION: SessionId = SessionId::from_uuid(uuid!("01900000-0000-7000-8000-000000000002"));
const REQUEST: OneTimeRequestId = OneTimeRequestId::from_uuid(uuid!("01900000-0000-7000-8000-000000000003"));
const ASSIGNMENT: AssignmentId = AssignmentId::from_uuid(uuid!("01900000-0000-7000-8000-000000000004"));
const NOTIFICATION: NotificationId = NotificationId::from_uuid(uuid!("01900000-0000-7000-8000-000000000005"));
const GROUP: GroupId = GroupId::from_uuid(uuid!("01900000-0000-7000-8000-000000000006"));
const EVENT: EventId = EventId::from_uuid(uuid!("01900000-0000-7000-8000-00000000000f"));

fn golden<F: Fact + PartialEq + std::fmt::Debug>(fact: &F) -> &'static str {
    let caller = Caller {
        actor: Actor::User { id: USER, session: SESSION },
        request_id: "01900000-0000-7000-8000-000000000009".to_owned(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        client_address: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("curl/8".to_owned()),
    };
    let mut event = Event::of(fact, &caller, Time::from_micros(1_767_225_600_000_000)).unwrap();
    event.id = EVENT;
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_json_snapshot!(F::TYPE, event);
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{}.snap", F::TYPE));
    let text = std::fs::read_to_string(file).unwrap();
    let json = text.rsplit_once("---\n").unwrap().1;
    let kept: Event = serde_json::from_str(json).unwrap();
    assert_eq!(kept.read::<F>().unwrap(), *fact, "{} can't be read back", F::TYPE);
    F::TYPE
}

#[test]
fn every_fact_has_a_golden_file_that_is_still_read() {
    let subject = Subject::user(USER);
    let told = [
        golden(&AccountRegistered {
            user: USER,
            display_name: Some("Mia".into()),
            locale: Some("de".into()),
        }),
        golden(&AccountVerified { user: USER }),
        golden(&AccountStateChanged { user: USER, state: AccountState::Active }),
        golden(&StandingDoubted { user: USER }),
        golden(&AccountEmailChanged {
            user: USER,
            previous: EmailAddress::parse("mia@example.org").unwrap(),
        }),
        golden(&AccountPurged { user: USER, address_key: "5f3c".into() }),
        golden(&PasswordResetRequested { user: USER, request: REQUEST }),
        golden(&PasswordChanged { user: USER, reset: true }),
        golden(&InvitationRequested { user: USER, request: REQUEST, locale: Some("de".into()) }),
        golden(&SignInNoticed {
            user: USER,
            session: SESSION,
            request: REQUEST,
            at: Time::from_micros(1_767_225_600_000_000),
            client_address: Some("192.0.2.7".into()),
            user_agent: Some("curl/8".into()),
        }),
        golden(&VerificationRequested { user: USER, request: REQUEST, locale: Some("de".into()) }),
        golden(&RegistrationRepeated { user: USER }),
        golden(&AdministratorAppointed { user: USER }),
        golden(&SessionCreated { user: USER, session: SESSION }),
        golden(&SessionRevoked { user: USER, session: SESSION, reason: "signed_out".into() }),
        golden(&RefreshReused { user: USER, session: SESSION }),
        golden(&UserCreated { user: USER }),
        golden(&UserUpdated { user: USER, changed: vec!["display_name".into()] }),
        golden(&PreferenceChanged { user: USER, namespace: "editor".into() }),
        golden(&RoleCreated { role: "editor".into() }),
        golden(&RoleUpdated { role: "editor".into() }),
        golden(&RoleDeleted { role: "editor".into() }),
        golden(&AssignmentCreated {
            assignment: ASSIGNMENT,
            subject: subject.clone(),
            role: "editor".into(),
        }),
        golden(&AssignmentDeleted {
            assignment: ASSIGNMENT,
            subject: subject.clone(),
            role: "editor".into(),
        }),
        golden(&GroupCreated { group: GROUP, name: "sales".into() }),
        golden(&GroupUpdated { group: GROUP, name: "sales".into() }),
        golden(&GroupDeleted { group: GROUP, name: "sales".into() }),
        golden(&GroupMemberAdded { group: GROUP, member: subject }),
        golden(&GroupMemberRemoved { group: GROUP, member: Subject::group(GROUP) }),
        golden(&MessageQueued { notification: NOTIFICATION }),
        golden(&MessageSent { notification: NOTIFICATION, channel: "email".into() }),
        golden(&MessageDelivered { notification: NOTIFICATION, channel: "sms".into() }),
        golden(&MessageSuppressed {
            notification: NOTIFICATION,
            channel: "email".into(),
            reason: "preference_off".into(),
        }),
        golden(&NotificationPreferencesChanged { user: USER }),
        golden(&MessageFailed { notification: NOTIFICATION, channel: "email".into() }),
    ];
    let mut declared: Vec<&str> = [
        contracts::auth::FACTS,
        contracts::users::FACTS,
        contracts::permissions::FACTS,
        contracts::notifications::FACTS,
    ]
    .concat();
    declared.retain(|fact| !told.contains(fact));
    assert_eq!(declared, Vec::<&str>::new(), "facts without a golden file");
}

#[test]
fn an_event_is_not_read_as_another_fact() {
    let event =
        Event::of(&AccountVerified { user: USER }, &Caller::module("auth"), Time::from_micros(0)).unwrap();
    assert!(event.read::<RegistrationRepeated>().is_err());
}
