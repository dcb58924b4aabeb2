//! Imports: what a row says, and what became of all of them.

use aws_lc_rs::hmac;
use contracts::auth::{AccountState, ImportAccount};
use contracts::{Concealed, EmailAddress, Error, Fields, Result, Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::{Builder, Uuid};

use super::{Change, Object, Profile};

/// Errors that a report shows at most.
pub(crate) const ERRORS: usize = 100;

/// Bytes of a password or of its hash: auth takes no longer ones.
const LONGEST_SECRET: usize = 1024;

platform::id_type! {
    /// An import.
    pub(crate) struct ImportId;
}

impl std::str::FromStr for ImportId {
    type Err = contracts::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from_uuid(text.parse::<UserId>()?.uuid()))
    }
}

platform::text_enum! {
    /// How rows are written.
    pub(crate) enum ImportFormat {
        /// A JSON object a line.
        Ndjson = "ndjson",
        /// Comma-separated values (RFC 4180), with a header.
        Csv = "csv",
    }
}

/// Why a row was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct RowError {
    /// Which row, from 1; neither a header nor empty lines are counted.
    pub(crate) row: i64,
    /// Which field, as a JSON pointer; empty for the row as a whole, and `/?` for a name that a report does not keep.
    pub(crate) pointer: String,
    /// Which rule, as a stable word.
    pub(crate) code: String,
    /// The rule in a sentence.
    pub(crate) message: String,
}

/// What became of an import so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    pub(crate) id: ImportId,
    /// Nothing is changed, only said what would happen.
    pub(crate) dry_run: bool,
    pub(crate) format: ImportFormat,
    /// Rows that were looked at; the sum of the next three.
    pub(crate) rows: i64,
    pub(crate) created: i64,
    /// Those that were there already.
    pub(crate) present: i64,
    pub(crate) refused: i64,
    /// The first [`ERRORS`] reasons.
    pub(crate) errors: Vec<RowError>,
    /// Over all rows so far.
    pub(crate) checksum: Vec<u8>,
    pub(crate) started_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) finished_at: Option<Time>,
}

impl Import {
    /// One that has taken nothing yet.
    pub(crate) fn new(format: ImportFormat, dry_run: bool, now: Time) -> Self {
        Self {
            id: ImportId::new(),
            dry_run,
            format,
            rows: 0,
            created: 0,
            present: 0,
            refused: 0,
            errors: Vec::new(),
            checksum: Vec::new(),
            started_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// Notes that the next row was refused.
    pub(crate) fn refuse(&mut self, row: i64, error: &Error) {
        self.refused += 1;
        let told = |pointer: &str, code: &str, message: &str| RowError {
            row,
            pointer: kept(pointer).to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let whole = error.fields.is_empty().then(|| told("", &error.code, &error.message));
        let fields = error.fields.iter().map(|field| told(&field.pointer, &field.code, &field.message));
        let room = ERRORS.saturating_sub(self.errors.len());
        self.errors.extend(whole.into_iter().chain(fields).take(room));
    }
}

/// Makes the checksums of what was imported so far.
///
/// With a key, because rows may hold passwords: a plain digest would let whoever reads the database guess them as fast
/// as he can count.
pub(crate) struct Checksums(hmac::Key);

impl Checksums {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The checksum after one more row.
    pub(crate) fn after(&self, before: &[u8], row: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(before);
        context.update(&(row.len() as u64).to_be_bytes());
        context.update(row);
        context.sign().as_ref().to_vec()
    }
}

/// Characters of a pointer that a report keeps at most.
const LONGEST_POINTER: usize = 64;

/// The pointer as a report keeps it. A field that nobody knows is named by the file, which may have put anything there,
/// also what somebody wanted forgotten.
fn kept(pointer: &str) -> &str {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'~');
    let is_kept = pointer.len() <= LONGEST_POINTER && pointer.bytes().all(harmless);
    if is_kept { pointer } else { "/?" }
}

/// Makes the ids of accounts that follow from a request: the same each time it is asked for, so that asking again makes
/// nothing new.
///
/// With a key, because an id may be chosen: who could foresee that of somebody else's account would make one under it
/// first, with a password of his own, and the other would be told that it is his.
pub(crate) struct AccountIds(hmac::Key);

impl AccountIds {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// That of a row that names none. It has the shape and the time of the import's own id.
    pub(crate) fn of_row(&self, import: ImportId, row: i64) -> UserId {
        let tag = self.tag(&[b"row", import.uuid().as_bytes(), &row.to_be_bytes()]);
        UserId::from_uuid(shaped(import.uuid(), tag.as_ref()))
    }

    /// That of what was asked for with an idempotency key. It has the shape of a UUIDv7, but its time is made up, like the
    /// rest of it: it says nothing about when the account was made, or in which order.
    pub(crate) fn of_key(&self, scope: &str, key: &str) -> UserId {
        let tag = self.tag(&[b"key", scope.as_bytes(), key.as_bytes()]);
        let made_up = tag.as_ref().get(16..).unwrap_or_default();
        UserId::from_uuid(shaped(Uuid::from_slice(made_up).unwrap_or_default(), tag.as_ref()))
    }

    fn tag(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

/// A UUIDv7 with the time of another one.
fn shaped(like: Uuid, random: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    let (time, rest) = bytes.split_at_mut(6);
    let parts = time.iter_mut().zip(like.as_bytes()).chain(rest.iter_mut().zip(random));
    parts.for_each(|(slot, byte)| *slot = *byte);
    Builder::from_bytes(bytes)
        .with_version(uuid::Version::SortRand)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

/// What a row says.
pub(crate) struct ImportRow {
    pub(crate) account: ImportAccount,
    pub(crate) profile: Profile,
}

impl ImportRow {
    /// Reads a row. `user` is the id it gets when it names none.
    ///
    /// # Errors
    /// Every broken rule, by field.
    pub(crate) fn read(mut said: Object, user: UserId, now: Time) -> Result<Self> {
        said.retain(|_, value| !value.is_null());
        let mut fields = Fields::default();
        let id = text(&mut fields, &mut said, "id").and_then(|id| {
            let parsed = id.parse::<UserId>().map_err(|_| ("malformed_id", "Must be a UUID.".into()));
            fields.take("/id", parsed)
        });
        let user = id.unwrap_or(user);
        if !said.contains_key("email") {
            fields.broken("/email", "missing_field", "This field is required.");
        }
        let email = text(&mut fields, &mut said, "email");
        let email = email.and_then(|email| fields.take("/email", EmailAddress::parse(&email)));
        let state = state(&mut fields, &mut said);
        let created_at = text(&mut fields, &mut said, "created_at").and_then(|at| {
            let parsed =
                at.parse::<Time>().map_err(|_| ("malformed_time", "Must be a time as in RFC 3339.".into()));
            fields.take("/created_at", parsed)
        });
        if created_at.is_some_and(|at| at > now) {
            fields.broken("/created_at", "in_future", "Must not be in the future.");
        }
        let password = secret(&mut fields, &mut said, "password");
        let password_hash = secret(&mut fields, &mut said, "password_hash");
        if password.is_some() && password_hash.is_some() {
            fields.broken("/password", "contradiction", "A row has a password or a hash, not both.");
        }
        let change = Change::patch(&Profile::empty(user, now), &said);
        let profile = match change {
            Ok(change) => Some(change.profile),
            Err(error) => {
                for field in error.fields {
                    fields.field(field);
                }
                None
            }
        };
        fields.finish()?;
        let (Some(profile), Some(email)) = (profile, email) else {
            return Err(Error::invalid("platform.invalid_input", "The input breaks at least one rule."));
        };
        let (display_name, locale) = (profile.display_name.clone(), profile.locale.clone());
        let account =
            ImportAccount { user, email, state, password_hash, password, created_at, display_name, locale };
        Ok(Self { account, profile })
    }
}

/// A text that a row may hold.
fn text(fields: &mut Fields, said: &mut Object, name: &str) -> Option<String> {
    match said.remove(name)? {
        Value::String(text) => Some(text),
        _ => {
            fields.broken(format!("/{name}"), "wrong_type", "Must be a string.");
            None
        }
    }
}

/// A password or its hash. What is longer than any is not carried further.
fn secret(fields: &mut Fields, said: &mut Object, name: &str) -> Option<Concealed> {
    let text = text(fields, said, name)?;
    if text.len() > LONGEST_SECRET {
        fields.broken(format!("/{name}"), "too_long", format!("Must have at most {LONGEST_SECRET} bytes."));
        return None;
    }
    Some(Concealed::new(text))
}

/// What the account may do: as the row says, or as follows from whether its address is proven.
fn state(fields: &mut Fields, said: &mut Object) -> AccountState {
    let verified = match said.remove("email_verified") {
        None => None,
        Some(Value::Bool(verified)) => Some(verified),
        Some(_) => {
            fields.broken("/email_verified", "wrong_type", "Must be true or false.");
            None
        }
    };
    let word = text(fields, said, "state");
    let state = word.as_deref().map(AccountState::from_word);
    match (state, verified) {
        (Some(None | Some(AccountState::Deleted)), _) => {
            fields.broken("/state", "invalid_value", "Must be unverified, active or disabled.");
            AccountState::Unverified
        }
        (Some(Some(AccountState::Active)), Some(false)) => {
            let rule = "An account whose address is not proven is not active.";
            fields.broken("/state", "contradiction", rule);
            AccountState::Unverified
        }
        (Some(Some(state)), _) => state,
        (None, Some(true)) => AccountState::Active,
        (None, _) => AccountState::Unverified,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(row: Value) -> Result<ImportRow> {
        let Value::Object(said) = row else { panic!("an object") };
        ImportRow::read(said, UserId::new(), "2026-12-01T12:00:00Z".parse().unwrap())
    }

    fn pointers(row: Value) -> Vec<(String, String)> {
        let Err(error) = read(row) else { panic!("it was accepted") };
        error.fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
    }

    #[test]
    fn a_row_says_who_somebody_is() {
        let row = read(json!({
            "email": "Mia@Example.org", "given_name": "Mia", "email_verified": true, "id": null,
            "created_at": "2020-01-01T00:00:00Z", "password_hash": "$2b$…", "attributes": { "team": 7 },
        }));
        let row = row.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(
            (row.account.email.as_str(), row.account.state),
            ("mia@example.org", AccountState::Active)
        );
        assert_eq!((row.profile.given_name.as_deref(), row.profile.id), (Some("Mia"), row.account.user));
        assert!(!format!("{:?}", row.account).contains("$2b$"), "the hash shows itself");
    }

    #[test]
    fn every_broken_rule_of_a_row_is_told() {
        let told = pointers(json!({
            "email": "nobody", "state": "deleted", "email_verified": "yes", "created_at": "yesterday", "id": "1",
            "password": "a", "password_hash": "b", "phone": "1", "roles": ["admin"], "locale": 7,
        }));
        for expected in [
            ("/email", "malformed_address"),
            ("/state", "invalid_value"),
            ("/email_verified", "wrong_type"),
            ("/created_at", "malformed_time"),
            ("/id", "malformed_id"),
            ("/password", "contradiction"),
            ("/phone", "malformed_phone"),
            ("/roles", "unknown_field"),
            ("/locale", "wrong_type"),
        ] {
            let (pointer, code) = expected;
            assert!(told.contains(&(pointer.to_owned(), code.to_owned())), "{expected:?} is not in {told:?}");
        }
        let long = pointers(json!({ "email": "mia@example.org", "password_hash": "x".repeat(1025) }));
        assert_eq!(long, [("/password_hash".to_owned(), "too_long".to_owned())]);
        assert_eq!(pointers(json!({})), [("/email".to_owned(), "missing_field".to_owned())]);
        assert_eq!(pointers(json!({ "email": 1 })), [("/email".to_owned(), "wrong_type".to_owned())]);
        let future = json!({ "email": "a@example.org", "created_at": "2027-01-01T00:00:00Z" });
        assert_eq!(pointers(future), [("/created_at".to_owned(), "in_future".to_owned())]);
        let odd = json!({ "email": "a@example.org", "state": "active", "email_verified": false });
        assert_eq!(pointers(odd), [("/state".to_owned(), "contradiction".to_owned())]);
    }

    #[test]
    fn a_report_keeps_no_name_that_a_file_made_up() {
        let mut import = Import::new(ImportFormat::Ndjson, false, Time::MIN);
        let long = "x".repeat(60_000);
        let row =
            json!({ "email": "a@example.org", "mia@example.org": "x", long: 1, "rôle": 1, "user-role_2": 1 });
        let Err(error) = read(row) else { panic!("it was accepted") };
        import.refuse(1, &error);
        let mut pointers: Vec<&str> = import.errors.iter().map(|error| error.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/?", "/?", "/?", "/user-role_2"]);
    }

    #[test]
    fn checksums_are_of_one_installation() {
        let (one, other) = (Checksums::new(&[1; 32]), Checksums::new(&[2; 32]));
        assert_eq!(one.after(b"", b"row"), one.after(b"", b"row"));
        assert_ne!(one.after(b"", b"row"), other.after(b"", b"row"));
        assert_ne!(one.after(&one.after(b"", b"a"), b"bc"), one.after(&one.after(b"", b"ab"), b"c"));
    }

    #[test]
    fn the_id_of_a_row_is_always_the_same_and_nobody_elses() {
        let (ids, (one, other)) = (AccountIds::new(&[1; 32]), (ImportId::new(), ImportId::new()));
        assert_eq!(ids.of_row(one, 1), ids.of_row(one, 1));
        assert_ne!(ids.of_row(one, 1), ids.of_row(one, 2));
        assert_ne!(ids.of_row(one, 1), ids.of_row(other, 1));
        assert_eq!(ids.of_row(one, 1).uuid().get_timestamp(), one.uuid().get_timestamp());
        assert_eq!(ids.of_key("a", "b"), ids.of_key("a", "b"));
        assert_ne!(ids.of_key("ab", "c"), ids.of_key("a", "bc"));
        for id in [ids.of_row(one, 1), ids.of_key("a", "b")] {
            assert_eq!(id.uuid().get_version_num(), 7);
        }
    }

    #[test]
    fn nobody_foresees_an_id_without_the_key_of_the_installation() {
        let (here, there, import) = (AccountIds::new(&[1; 32]), AccountIds::new(&[2; 32]), ImportId::new());
        assert_ne!(here.of_key("a", "b"), there.of_key("a", "b"));
        assert_ne!(here.of_row(import, 1), there.of_row(import, 1));
    }
}
