//! Rows, whatever comes: the same in one piece or in many, and nothing panics.

use contracts::auth::{Account, AccountState};
use contracts::{EmailAddress, Time, UserId};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{ImportRow, Profile, head, line};

fn rows(format: ImportFormat, body: &[u8], piece: usize) -> Result<Vec<Raw>> {
    let (mut rows, mut found) = (Rows::new(format), Vec::new());
    for piece in body.chunks(piece.max(1)) {
        rows.feed(piece, &mut found)?;
    }
    rows.finish(&mut found)?;
    Ok(found)
}

fn said(raw: &[Raw]) -> Vec<(Vec<u8>, Option<Object>, Option<String>)> {
    let told = |raw: &Raw| {
        let code = raw.said.as_ref().err().map(|error| error.code.to_string());
        (raw.bytes.clone(), raw.said.as_ref().ok().cloned(), code)
    };
    raw.iter().map(told).collect()
}

#[test]
fn lines_of_json_are_rows() {
    let body = b"\xef\xbb\xbf{\"email\":\"a@example.org\"}\r\n\n  \n{\"a\":1,\"a\":2}\n[1]\n{\"x\":\"\\u0000\"}\n{\"email\"";
    for piece in [1, 2, 7, 1000] {
        let found = rows(ImportFormat::Ndjson, body, piece).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].said.as_ref().unwrap()["email"], "a@example.org");
        assert!(found[1..].iter().all(|row| row.said.is_err()), "what is no plain object is refused");
    }
}

#[test]
fn a_row_without_end_is_refused_and_takes_no_memory() {
    let mut body = b"{\"email\":\"".to_vec();
    body.extend(std::iter::repeat_n(b'x', 1_000_000));
    body.extend(b"\"}\n{\"email\":\"b@example.org\"}");
    let found = rows(ImportFormat::Ndjson, &body, 1000).unwrap();
    assert_eq!((found.len(), found[0].bytes.len()), (2, ROW));
    assert_eq!(found[0].said.as_ref().unwrap_err().code, "too_long");
    assert!(found[1].said.is_ok());
    let mut body = b"email,phone\r\n".to_vec();
    body.extend(std::iter::repeat_n(b'x', 1_000_000));
    body.extend(b"\r\nb@example.org,\r\n");
    body.extend(b",".repeat(500));
    body.extend(b"\r\nc@example.org,");
    let found = rows(ImportFormat::Csv, &body, 1000).unwrap();
    let codes: Vec<_> = found.iter().map(|row| row.said.as_ref().err().map(|error| &*error.code)).collect();
    assert_eq!(codes, [Some("too_long"), None, Some("too_long"), None]);
}

#[test]
fn records_of_csv_are_rows() {
    let body = "\u{feff}email, display_name ,phone,email_verified,attributes\r\n\
        a@example.org,\"Zoë \"\"Z\"\"\r\nLind\",'+436601234567,true,\"{\"\"team\"\":7}\"\r\n\r\nb@example.org,,,,\n\
        c@example.org\nd@example.org,,,,[]\n";
    for piece in [1, 3, 1000] {
        let found = rows(ImportFormat::Csv, body.as_bytes(), piece).unwrap();
        assert_eq!(found.len(), 4, "{piece}");
        let first = found[0].said.as_ref().unwrap();
        assert_eq!(first["display_name"], "Zoë \"Z\"\r\nLind");
        assert_eq!((&first["phone"], &first["email_verified"]), (&json!("+436601234567"), &json!(true)));
        assert_eq!(first["attributes"], json!({ "team": 7 }));
        assert_eq!(found[1].said.as_ref().unwrap().len(), 1, "an empty cell says nothing");
        assert_eq!(found[2].said.as_ref().unwrap_err().code, "wrong_number_of_cells");
        assert_eq!(found[3].said.as_ref().unwrap_err().fields[0].pointer, "/attributes");
    }
}

#[test]
fn a_header_that_is_not_known_refuses_the_file() {
    for body in ["", "name\nx", "email,email\n", "email,role\n", "phone\n", "\"", "email;phone\n"] {
        let error = rows(ImportFormat::Csv, body.as_bytes(), 5).err();
        assert_eq!(
            error.map(|error| error.code.to_string()).as_deref(),
            Some("users.import_header"),
            "{body:?}"
        );
    }
}

fn exported(name: &str, phone: &str) -> (Account, Profile) {
    let now = "2026-12-01T12:00:00Z".parse().unwrap();
    let account = Account {
        id: UserId::new(),
        email: EmailAddress::parse("-mia@example.org").unwrap(),
        email_verified: true,
        state: AccountState::Active,
        revision: 1,
        created_at: Time::from_micros(1_700_000_000_123_456),
        updated_at: now,
    };
    let mut profile = Profile::empty(account.id, now);
    profile.display_name = Some(name.to_owned());
    profile.phone = Some(phone.to_owned());
    profile.attributes.insert(name.to_owned(), json!({ "x": [name] }));
    (account, profile)
}

fn comes_back(format: ImportFormat, name: &str) {
    let (account, profile) = exported(name, "+436601234567");
    let body = format!("{}{}", head(format), line(format, &account, Some(&profile)));
    let found = rows(format, body.as_bytes(), 7).unwrap();
    assert_eq!(found.len(), 1, "{body}");
    let said = found.into_iter().next().unwrap().said.unwrap();
    let row =
        ImportRow::read(said, UserId::new(), account.updated_at).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(row.profile, profile, "{body}");
    assert_eq!((row.account.user, &row.account.email), (account.id, &account.email));
    assert_eq!((row.account.state, row.account.created_at), (account.state, Some(account.created_at)));
}

#[test]
fn formulas_are_disarmed_and_come_back() {
    for name in [
        "=1+1",
        "+x",
        "-x",
        "@SUM(A1)",
        "'=x",
        "''@x",
        "'x",
        "=HYPERLINK(\"http://e\",\"x\")",
        "a,b",
        "\"",
        "'",
        "x;=cmd|'/C calc'!A0;y",
        "x;\"=1;'@;\"\"-2",
        "＝1+1",
        "；;＠x",
    ] {
        let (account, profile) = exported(name, "+436601234567");
        let row = line(ImportFormat::Csv, &account, Some(&profile));
        for cell in row.trim_end().split([',', ';', '\t']).map(|cell| cell.trim_start_matches('"')) {
            assert!(!cell.starts_with(['=', '+', '@', '＝', '＠']), "{row}");
        }
        comes_back(ImportFormat::Csv, name);
        comes_back(ImportFormat::Ndjson, name);
    }
}

proptest! {
    #[test]
    fn rubbish_is_rows_that_are_refused(body in proptest::collection::vec(any::<u8>(), 0..2000), piece in 1usize..50) {
        for format in [ImportFormat::Ndjson, ImportFormat::Csv] {
            let headed = [b"email,attributes,phone\n".as_slice(), &body].concat();
            for body in [&body, &headed] {
                match (rows(format, body, piece), rows(format, body, usize::MAX)) {
                    (Ok(some), Ok(all)) => {
                        prop_assert_eq!(said(&some), said(&all));
                        for raw in some {
                            let _ = raw.said.and_then(|said| ImportRow::read(said, UserId::new(), Time::MAX));
                        }
                    }
                    (some, all) => prop_assert_eq!(some.is_err(), all.is_err()),
                }
            }
        }
    }

    #[test]
    fn structured_rubbish_is_refused_or_taken(text in "[{}\\[\\]\",:'=\\n\\r a-z0-9\\\\]{0,300}") {
        for format in [ImportFormat::Ndjson, ImportFormat::Csv] {
            for raw in rows(format, format!("email,phone\n{text}").as_bytes(), 11).into_iter().flatten() {
                let _ = raw.said.and_then(|said| ImportRow::read(said, UserId::new(), Time::MAX));
            }
        }
    }

    #[test]
    fn whatever_a_name_is_it_comes_back(name in "[^\\p{C}\\p{M}\\p{Z}][ -~]{0,40}[^\\p{C}\\p{M}\\p{Z}]") {
        let (_, mut profile) = exported("x", "+436601234567");
        let patch = json!({ "display_name": name });
        let Ok(change) = crate::model::Change::patch(&profile, patch.as_object().unwrap()) else { return Ok(()) };
        profile = change.profile;
        comes_back(ImportFormat::Csv, profile.display_name.as_deref().unwrap());
        comes_back(ImportFormat::Ndjson, profile.display_name.as_deref().unwrap());
    }
}
