//! From bytes to a typed value, with a pointer to whatever is wrong.
//!
//! Two passes. The first walks the whole document for what no type looks at: U+0000 (which PostgreSQL can't store)
//! and names that occur twice (of which parsers disagree who wins). The second fills the type. Messages never repeat
//! a value that was sent: it may be a password.

use std::collections::HashSet;
use std::fmt;

use contracts::{Error, Field};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment, Track};

use super::objects::Objects;
use super::problem::Problem;

/// Reads a JSON document as a `T`.
///
/// # Errors
/// 400 `platform.malformed_json`; 422 `platform.invalid_input` with the fields.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    walk(bytes)?;
    if let Some(value) = plain(bytes) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut unknown = Vec::new();
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(ignored_pointer(&path));
    let value = serde_ignored::deserialize(Objects(tracked), &mut note);
    let broken = match value {
        Ok(value) if unknown.is_empty() => return Ok(value),
        Ok(_) => Vec::new(),
        Err(error) => match refused(&error, &track.path()) {
            Some(field) => vec![field],
            None => return Err(malformed()),
        },
    };
    let unknown = unknown.into_iter().map(|pointer| unknown_field(pointer, None));
    Err(invalid(broken.into_iter().chain(unknown).collect()))
}

/// The value when nothing is wrong with it. Knowing at every moment where one is costs more than reading, so that is
/// left to the pass that explains.
fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut unknown = false;
    let value = serde_ignored::deserialize(Objects(&mut json), |_| unknown = true);
    value.ok().filter(|_| !unknown)
}

fn malformed() -> Problem {
    Problem::malformed("platform.malformed_json", "The body is not a JSON document, or nests too deeply.")
}

fn invalid(fields: Vec<Field>) -> Problem {
    let mut error = Error::invalid("platform.invalid_input", "The input breaks at least one rule.");
    error.fields = fields;
    error.into()
}

fn broken(pointer: String, code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Field {
    Field { pointer, code: code.into(), message: message.into() }
}

fn unknown_field(pointer: String, known: Option<&str>) -> Field {
    let message = match known {
        Some(known) => format!("There is no such field; known: {known}."),
        None => "There is no such field.".to_owned(),
    };
    broken(pointer, "unknown_field", message)
}

/// The rule that serde says was broken; none when the document can't be read.
fn refused(error: &serde_json::Error, path: &Path) -> Option<Field> {
    if error.classify() != Category::Data {
        return None;
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    Some(rule(text.strip_suffix(&place).unwrap_or(&text), path))
}

/// Reads serde's own sentences (`serde::de::Error`), whose wording is part of its interface.
pub(super) fn rule(text: &str, path: &Path) -> Field {
    let at = pointer(path);
    let named = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let known = rest.split_once("expected ").map(|(_, known)| known.trim_start_matches("one of "));
        return unknown_field(at, known);
    }
    if let Some(rest) = text.strip_prefix("missing field `") {
        return broken(at + "/" + &escape(&named(rest)), "missing_field", "This field is required.");
    }
    if let Some(rest) = text.strip_prefix("duplicate field `") {
        return broken(at + "/" + &escape(&named(rest)), "duplicate_field", "This field occurs twice.");
    }
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| in_plain_words(expected));
    match expected {
        Some(expected) if text.starts_with("invalid type: ") => {
            broken(at, "wrong_type", format!("Must be {expected}."))
        }
        Some(expected) if text.starts_with("invalid value: ") || text.starts_with("invalid length ") => {
            broken(at, "invalid_value", format!("Must be {expected}."))
        }
        Some(expected) if text.starts_with("unknown variant `") => {
            broken(at, "invalid_value", format!("Must be {expected}."))
        }
        _ => broken(at, "invalid_value", text.to_owned()),
    }
}

/// serde's word for what it expected, in words of the caller's world.
pub(crate) fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum ") => {
            "an object"
        }
        _ if expected.starts_with("tuple ") || expected.starts_with("a tuple ") => "an array",
        _ => expected,
    }
}

/// A path as JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&escape(key));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

fn ignored_pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path as At;
    match path {
        At::Root => String::new(),
        At::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        At::Map { parent, key } => format!("{}/{}", ignored_pointer(parent), escape(key)),
        At::Some { parent } | At::NewtypeStruct { parent } | At::NewtypeVariant { parent } => {
            ignored_pointer(parent)
        }
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

const NUL: &str = "The character U+0000 is not allowed.";
const TWICE: &str = "This name occurs twice.";

/// The first pass.
fn walk(bytes: &[u8]) -> Result<(), Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    if Walk.deserialize(&mut json).is_ok() {
        return json.end().map_err(|_| malformed());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    if let Err(error) = Walk.deserialize(tracked) {
        if error.classify() != Category::Data {
            return Err(malformed());
        }
        let twice = error.to_string().starts_with(TWICE);
        let (code, message) = if twice { ("duplicate_field", TWICE) } else { ("invalid_character", NUL) };
        return Err(invalid(vec![broken(pointer(&track.path()), code, message)]));
    }
    json.end().map_err(|_| malformed())
}

struct Walk;

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key_seed(Key(&mut seen))? {
            map.next_value_seed(Walk)?;
            seen.insert(key);
        }
        Ok(())
    }
}

/// A name in an object, refused while it is read so that the error carries its path.
struct Key<'a>(&'a mut HashSet<String>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<String, E> {
        match name {
            name if name.contains('\0') => Err(E::custom(NUL)),
            name if self.0.contains(name) => Err(E::custom(TWICE)),
            name => Ok(name.to_owned()),
        }
    }
}
