//! What every auth must do.

use contracts::auth::{
    Account, AccountState, Auth, ChangeAccount, CheckSession, CreateAccount, FindAccount, ImportAccount,
    ImportAccounts, ImportOutcome, ListAccounts, MintLink, PublishKeys,
};
use contracts::{
    Caller, Concealed, EmailAddress, Error, ExportPerson, Kind, OneTimeRequestId, SessionId, UserId,
};

use super::ParseAddress as _;

/// What auth must hold before its suite runs.
pub struct AuthWorld {
    /// An account, as it must be found.
    pub account: Account,
    /// A session of that account that may act.
    pub live: SessionId,
    /// A session of that account that was ended.
    pub ended: SessionId,
    /// A request whose link was not used.
    pub open: OneTimeRequestId,
    /// A request whose link was used.
    pub spent: OneTimeRequestId,
}

/// The suite of [`Auth`].
pub async fn auth(auth: &dyn Auth, world: &AuthWorld) {
    let caller = &Caller::module("testkit");
    let user = world.account.id;
    let found = auth.find_account(caller, FindAccount { user }).await.unwrap();
    assert_eq!(found.as_ref(), Some(&world.account));
    assert_eq!(auth.find_account(caller, FindAccount { user: UserId::new() }).await.unwrap(), None);

    let live =
        async |user, session| auth.check_session(caller, CheckSession { user, session }).await.unwrap().live;
    assert!(live(user, world.live).await, "a live session may act");
    assert!(!live(user, world.ended).await, "an ended session may not");
    assert!(!live(user, SessionId::new()).await, "a session that never was may not");
    assert!(!live(UserId::new(), world.live).await, "a session is no one else's");

    let first = auth.mint_link(caller, MintLink { request: world.open }).await.unwrap();
    let second = auth.mint_link(caller, MintLink { request: world.open }).await.unwrap();
    assert!(first.url.contains("token="), "a link carries its secret");
    assert_ne!(first.url, second.url, "each link has a secret of its own");
    let kind = async |request| auth.mint_link(caller, MintLink { request }).await.unwrap_err().kind;
    assert_eq!(kind(world.spent).await, Kind::Gone);
    assert_eq!(kind(OneTimeRequestId::new()).await, Kind::NotFound);

    let published = auth.publish_keys(caller, PublishKeys::default()).await.unwrap();
    assert!(!published.issuer.is_empty() && !published.audience.is_empty());
    let keys = published.jwks["keys"].as_array().unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| key["kid"].is_string() && key["d"].is_null()));
    let readable: platform::tokens::PublicKeys = serde_json::from_value(published.jwks.clone()).unwrap();
    assert_eq!(readable.iter().count(), keys.len(), "every process can verify with them");

    create_accounts(auth, caller).await;
    change_accounts(auth, caller).await;
    import_accounts(auth, caller).await;
}

/// An address that nobody has.
fn new_address() -> EmailAddress {
    format!("{}@example.org", UserId::new()).parse_address()
}

fn account_to_make() -> CreateAccount {
    CreateAccount {
        user: UserId::new(),
        email: new_address(),
        password: Some(Concealed::new("correct horse battery staple")),
        state: AccountState::Active,
        invite: false,
        display_name: Some("Mia".to_owned()),
        locale: Some("de".to_owned()),
    }
}

async fn create_accounts(auth: &dyn Auth, caller: &Caller) {
    let ask = account_to_make();
    let made = auth.create_account(caller, ask.clone()).await.unwrap();
    assert_eq!((made.id, &made.email, made.revision), (ask.user, &ask.email, 1));
    assert_eq!(
        (made.state, made.email_verified),
        (AccountState::Active, true),
        "active vouches for the address"
    );
    let again = auth.create_account(caller, CreateAccount { email: new_address(), ..ask.clone() }).await;
    assert_eq!(again.unwrap(), made, "the same id makes nothing new");
    let found = auth.find_account(caller, FindAccount { user: made.id }).await.unwrap();
    assert_eq!(found.as_ref(), Some(&made));

    let twin = CreateAccount { user: UserId::new(), ..ask };
    told(&auth.create_account(caller, twin.clone()).await.unwrap_err(), Kind::Conflict, Some("/email"));
    assert_eq!(auth.find_account(caller, FindAccount { user: twin.user }).await.unwrap(), None);
    let weak = CreateAccount { password: Some(Concealed::new("short")), ..account_to_make() };
    told(&auth.create_account(caller, weak).await.unwrap_err(), Kind::Invalid, Some("/password"));
    let bare = CreateAccount { password: None, state: AccountState::Unverified, ..account_to_make() };
    assert!(!auth.create_account(caller, bare).await.unwrap().email_verified);

    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = auth.list_accounts(caller, ListAccounts { after, limit: 2 }).await.unwrap().items;
        after = page.last().map(|account| account.id);
        all.extend(page.iter().map(|account| account.id));
        if page.len() < 2 {
            break;
        }
    }
    assert!(all.is_sorted() && all.contains(&made.id), "accounts come in the order of their ids, each once");

    let data = auth.export_person(caller, ExportPerson { user: made.id }).await.unwrap();
    assert_eq!(data.sections["account"]["email"], made.email.as_str());
    let data = auth.export_person(caller, ExportPerson { user: UserId::new() }).await.unwrap();
    assert!(data.sections["account"].is_null(), "of nobody, nothing is known");
}

async fn change_accounts(auth: &dyn Auth, caller: &Caller) {
    let made = auth.create_account(caller, account_to_make()).await.unwrap();
    let other = auth.create_account(caller, account_to_make()).await.unwrap();
    let user = made.id;
    let nothing = ChangeAccount { user, revision: None, email: None, state: None };
    let to = |state| ChangeAccount { state: Some(state), ..nothing.clone() };
    let change = async |ask| auth.change_account(caller, ask).await;

    let unknown = ChangeAccount { user: UserId::new(), ..to(AccountState::Disabled) };
    told(&change(unknown).await.unwrap_err(), Kind::NotFound, None);
    let stale = ChangeAccount { revision: Some(made.revision + 1), ..to(AccountState::Disabled) };
    told(&change(stale).await.unwrap_err(), Kind::Conflict, None);
    let taken = ChangeAccount { email: Some(other.email), ..nothing.clone() };
    told(&change(taken).await.unwrap_err(), Kind::Conflict, Some("/email"));
    assert_eq!(change(nothing.clone()).await.unwrap(), made, "asking for nothing changes nothing");
    assert_eq!(change(to(AccountState::Active)).await.unwrap(), made, "nor does what is so already");

    let disabled = ChangeAccount { revision: Some(made.revision), ..to(AccountState::Disabled) };
    let disabled = change(disabled).await.unwrap();
    assert_eq!((disabled.state, disabled.revision > made.revision), (AccountState::Disabled, true));
    let found = auth.find_account(caller, FindAccount { user }).await.unwrap();
    assert_eq!(found, Some(disabled), "the next look sees it");
    assert_eq!(change(to(AccountState::Active)).await.unwrap().state, AccountState::Active);
    assert_eq!(change(to(AccountState::Deleted)).await.unwrap().state, AccountState::Deleted);
    let restored = change(to(AccountState::Active)).await.unwrap();
    assert_eq!((restored.state, restored.email_verified), (AccountState::Active, true));

    let moved = change(ChangeAccount { email: Some(new_address()), ..nothing.clone() }).await.unwrap();
    assert_eq!((moved.state, moved.email_verified), (AccountState::Unverified, false));
    assert_ne!(moved.email, made.email);
    change(to(AccountState::Deleted)).await.unwrap();
    assert_eq!(change(to(AccountState::Active)).await.unwrap().state, AccountState::Unverified);
    let vouched = change(to(AccountState::Active)).await.unwrap();
    assert_eq!((vouched.state, vouched.email_verified), (AccountState::Active, true));
}

async fn import_accounts(auth: &dyn Auth, caller: &Caller) {
    let account = |email: &EmailAddress, state| ImportAccount {
        user: UserId::new(),
        email: email.clone(),
        state,
        password_hash: None,
        password: None,
        created_at: Some("2020-02-02T20:20:20Z".parse().unwrap()),
        display_name: None,
        locale: None,
    };
    let (mia, max) = (new_address(), new_address());
    let taken = auth.create_account(caller, account_to_make()).await.unwrap().email;
    let accounts = vec![
        account(&mia, AccountState::Active),
        account(&taken, AccountState::Active),
        account(&max, AccountState::Unverified),
        account(&mia, AccountState::Active),
    ];
    let outcomes = async |dry_run| {
        let ask = ImportAccounts { dry_run, accounts: accounts.clone() };
        let outcomes = auth.import_accounts(caller, ask).await.unwrap().outcomes;
        let words = outcomes.into_iter().map(|outcome| match outcome {
            ImportOutcome::Created(account) => {
                assert_eq!(account.email_verified, account.state == AccountState::Active);
                assert_eq!(account.created_at.to_string(), "2020-02-02T20:20:20Z");
                "created"
            }
            ImportOutcome::Present(_) => "present",
            ImportOutcome::Refused(error) => {
                told(&error, Kind::Conflict, Some("/email"));
                "refused"
            }
        });
        words.collect::<Vec<_>>()
    };
    let found = async || auth.find_account(caller, FindAccount { user: accounts[0].user }).await.unwrap();
    let first = ["created", "refused", "created", "refused"];
    assert_eq!(outcomes(true).await, first, "each by itself");
    assert_eq!(found().await, None, "a rehearsal makes nothing");
    assert_eq!(outcomes(false).await, first);
    assert_eq!(found().await.map(|account| account.email), Some(mia));
    assert_eq!(outcomes(false).await, ["present", "refused", "present", "refused"]);
}

#[track_caller]
fn told(error: &Error, kind: Kind, pointer: Option<&str>) {
    let told = error.fields.first().map(|field| field.pointer.as_str());
    assert_eq!((error.kind, told), (kind, pointer), "{error:?}");
}
