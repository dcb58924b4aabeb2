//! Rows of exports: what an import takes, so that what was exported here can be imported there.
//!
//! Left out: passwords and their hashes.

use contracts::auth::Account;
use serde_json::{Value, json};

use super::{ImportFormat, Profile};

/// Signs that make a spreadsheet take a cell for a formula; some read the full-width ones as well.
const ARMED: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Where a spreadsheet that expects something else than commas would begin another cell.
const CUTS: [char; 4] = [';', '\t', '\r', '\n'];

const HEADER: &str = "id,email,email_verified,state,display_name,given_name,family_name,phone,locale,time_zone,avatar_url,attributes,created_at\r\n";

/// What an export begins with.
pub(crate) fn head(format: ImportFormat) -> &'static str {
    match format {
        ImportFormat::Ndjson => "",
        ImportFormat::Csv => HEADER,
    }
}

/// A user as a row, with its line end.
pub(crate) fn line(format: ImportFormat, account: &Account, profile: Option<&Profile>) -> String {
    let name = |of: fn(&Profile) -> &Option<String>| profile.and_then(|it| of(it).clone());
    let attributes = profile.map(|it| &it.attributes).filter(|it| !it.is_empty());
    let cells = [
        ("id", json!(account.id)),
        ("email", json!(account.email)),
        ("email_verified", json!(account.email_verified)),
        ("state", json!(account.state)),
        ("display_name", json!(name(|it| &it.display_name))),
        ("given_name", json!(name(|it| &it.given_name))),
        ("family_name", json!(name(|it| &it.family_name))),
        ("phone", json!(name(|it| &it.phone))),
        ("locale", json!(name(|it| &it.locale))),
        ("time_zone", json!(name(|it| &it.time_zone))),
        ("avatar_url", json!(name(|it| &it.avatar_url))),
        ("attributes", json!(attributes)),
        ("created_at", json!(account.created_at)),
    ];
    match format {
        ImportFormat::Ndjson => {
            let row = cells.into_iter().filter(|(_, value)| !value.is_null());
            let row: serde_json::Map<String, Value> =
                row.map(|(name, value)| (name.to_owned(), value)).collect();
            format!("{}\n", Value::Object(row))
        }
        ImportFormat::Csv => {
            let cells: Vec<String> = cells.iter().map(|(_, value)| cell(value)).collect();
            format!("{}\r\n", cells.join(","))
        }
    }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let armed = |part: &str| if is_armed(part) { format!("'{part}") } else { part.to_owned() };
    let text: String = text.split_inclusive(CUTS).map(armed).collect();
    let plain = !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
    if plain { text } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// Whether a spreadsheet would take a text for a formula, or whether it looks as if it had been disarmed.
fn is_armed(text: &str) -> bool {
    text.trim_start_matches(['\'', '"']).starts_with(ARMED)
}

/// The text that stands in a cell: the apostrophe before each formula is taken away again.
pub(crate) fn disarmed(cell: &str) -> String {
    let disarmed = |part: &str| match part.strip_prefix('\'') {
        Some(text) if is_armed(text) => text.to_owned(),
        _ => part.to_owned(),
    };
    cell.split_inclusive(CUTS).map(disarmed).collect()
}
