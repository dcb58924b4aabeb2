//! How a merge patch (RFC 7396) changes a profile: what is absent stays, null takes away, and every broken rule is
//! told at once.

use contracts::words::{self, BrokenWord};
use contracts::{Fields, Result};
use serde_json::Value;

use super::text;
use super::{Object, Profile, extent, merge};

/// Bytes that all attributes together may have, as JSON.
const ATTRIBUTE_BYTES: usize = 16 * 1024;

/// How deep attributes may be nested.
const ATTRIBUTE_DEPTH: usize = 8;

/// What the answer shows and a patch can't change: it belongs to auth, or to nobody.
const NOT_OWN: [&str; 6] = ["id", "email", "email_verified", "state", "created_at", "updated_at"];

/// What became of a patch.
#[derive(Debug)]
pub(crate) struct Change {
    /// The profile with the patch applied.
    pub(crate) profile: Profile,
    /// The names of the fields that are different now.
    pub(crate) changed: Vec<&'static str>,
}

impl Change {
    /// The profile with this patch applied.
    ///
    /// # Errors
    /// Every broken rule, by field: those of the values, fields of the wrong type, and fields that are not there or
    /// not the person's own to change.
    pub(crate) fn patch(before: &Profile, patch: &Object) -> Result<Self> {
        let mut fields = Fields::default();
        let mut profile = before.clone();
        for (name, value) in patch {
            let pointer = &format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            match (text_of(&mut profile, name), name.as_str()) {
                (Some((target, parse)), _) => set(&mut fields, pointer, value, parse, target),
                (None, "attributes") => set_attributes(&mut fields, value, &mut profile.attributes),
                (None, name) if NOT_OWN.contains(&name) => {
                    fields.broken(pointer, "read_only", "This can't be changed here.");
                }
                (None, _) => fields.broken(pointer, "unknown_field", "There is no such field."),
            }
        }
        fields.finish()?;
        Ok(Self::between(before, profile))
    }

    /// The profile with these texts where it says nothing yet. What breaks a rule is left out.
    pub(crate) fn fill(before: &Profile, said: [(&str, Option<String>); 2]) -> Self {
        let mut profile = before.clone();
        for (name, text) in said {
            if let Some((target @ None, parse)) = text_of(&mut profile, name) {
                *target = text.and_then(|text| parse(&text).ok());
            }
        }
        Self::between(before, profile)
    }

    /// The profile with what another one says where it says nothing yet.
    pub(crate) fn complete(before: &Profile, said: &Profile) -> Self {
        let mut profile = before.clone();
        let texts = [
            (&mut profile.display_name, &said.display_name),
            (&mut profile.given_name, &said.given_name),
            (&mut profile.family_name, &said.family_name),
            (&mut profile.phone, &said.phone),
            (&mut profile.locale, &said.locale),
            (&mut profile.time_zone, &said.time_zone),
            (&mut profile.avatar_url, &said.avatar_url),
        ];
        for (target, text) in texts.into_iter().filter(|(target, _)| target.is_none()) {
            target.clone_from(text);
        }
        if profile.attributes.is_empty() {
            profile.attributes.clone_from(&said.attributes);
        }
        Self::between(before, profile)
    }

    fn between(before: &Profile, profile: Profile) -> Self {
        let changed = differences(before, &profile);
        Self { profile, changed }
    }
}

/// A field that holds text, with the rule of that text.
type Text<'p> = (&'p mut Option<String>, fn(&str) -> std::result::Result<String, BrokenWord>);

fn text_of<'p>(profile: &'p mut Profile, name: &str) -> Option<Text<'p>> {
    Some(match name {
        "display_name" => (&mut profile.display_name, words::name),
        "given_name" => (&mut profile.given_name, words::name),
        "family_name" => (&mut profile.family_name, words::name),
        "phone" => (&mut profile.phone, text::phone),
        "locale" => (&mut profile.locale, words::locale),
        "time_zone" => (&mut profile.time_zone, text::time_zone),
        "avatar_url" => (&mut profile.avatar_url, text::avatar_url),
        _ => return None,
    })
}

fn set(
    fields: &mut Fields,
    pointer: &str,
    value: &Value,
    parse: fn(&str) -> std::result::Result<String, BrokenWord>,
    target: &mut Option<String>,
) {
    match value {
        Value::Null => *target = None,
        Value::String(text) => {
            if let Some(value) = fields.take(pointer, parse(text)) {
                *target = Some(value);
            }
        }
        _ => fields.broken(pointer, "wrong_type", "Must be a string or null."),
    }
}

fn set_attributes(fields: &mut Fields, value: &Value, target: &mut Object) {
    match value {
        Value::Null => target.clear(),
        Value::Object(patch) => {
            merge(target, patch.clone());
            let (depth, bytes) = extent(&Value::Object(target.clone()));
            if depth > ATTRIBUTE_DEPTH {
                fields.broken("/attributes", "too_deep", "Attributes are nested at most 8 levels deep.");
            }
            if bytes > ATTRIBUTE_BYTES {
                fields.broken("/attributes", "too_large", "Attributes have at most 16 KiB all together.");
            }
        }
        _ => fields.broken("/attributes", "wrong_type", "Must be an object or null."),
    }
}

fn differences(before: &Profile, after: &Profile) -> Vec<&'static str> {
    [
        ("display_name", before.display_name != after.display_name),
        ("given_name", before.given_name != after.given_name),
        ("family_name", before.family_name != after.family_name),
        ("phone", before.phone != after.phone),
        ("locale", before.locale != after.locale),
        ("time_zone", before.time_zone != after.time_zone),
        ("avatar_url", before.avatar_url != after.avatar_url),
        ("attributes", before.attributes != after.attributes),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use contracts::{Time, UserId};
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Result<Change> {
        let mut before = Profile::empty(UserId::new(), Time::from_micros(0));
        before.given_name = Some("Mia".to_owned());
        before.attributes =
            json!({ "team": "blue", "deep": { "a": 1, "b": 2 } }).as_object().unwrap().clone();
        Change::patch(&before, patch.as_object().unwrap())
    }

    #[test]
    fn absent_stays_null_clears_and_objects_merge() {
        let change = patched(&json!({
            "given_name": null, "family_name": "Müller", "attributes": { "team": null, "deep": { "a": 7 } }
        }))
        .unwrap();
        assert_eq!((change.profile.given_name, change.profile.display_name), (None, None));
        assert_eq!(Value::Object(change.profile.attributes), json!({ "deep": { "a": 7, "b": 2 } }));
        assert_eq!(change.changed, ["given_name", "family_name", "attributes"]);
        assert!(patched(&json!({ "given_name": "Mia" })).unwrap().changed.is_empty());
    }

    #[test]
    fn every_broken_rule_is_told() {
        let deep = (0..9).fold(json!(1), |inner, _| json!({ "x": inner }));
        let error = patched(&json!({
            "display_name": "", "phone": "1", "locale": "?", "time_zone": "x", "avatar_url": "x",
            "attributes": { "deep": deep, "large": "x".repeat(ATTRIBUTE_BYTES) },
            "given_name": 7, "family_name": ["x"], "email": "x@example.org", "is/admin~": true,
        }))
        .unwrap_err();
        let told: Vec<_> = error.fields.iter().map(|field| (field.pointer.as_str(), &*field.code)).collect();
        assert_eq!(
            told,
            [
                ("/attributes", "too_deep"),
                ("/attributes", "too_large"),
                ("/avatar_url", "malformed_url"),
                ("/display_name", "empty"),
                ("/email", "read_only"),
                ("/family_name", "wrong_type"),
                ("/given_name", "wrong_type"),
                ("/is~1admin~0", "unknown_field"),
                ("/locale", "malformed_locale"),
                ("/phone", "malformed_phone"),
                ("/time_zone", "unknown_time_zone"),
            ]
        );
    }

    #[test]
    fn filling_keeps_what_is_said_and_leaves_out_what_breaks_a_rule() {
        let before = Profile::empty(UserId::new(), Time::from_micros(0));
        let filled =
            Change::fill(&before, [("display_name", Some("Mia".into())), ("locale", Some("?".into()))]);
        assert_eq!(filled.changed, ["display_name"]);
        let again = Change::fill(&filled.profile, [("display_name", Some("M".into())), ("locale", None)]);
        assert!(again.changed.is_empty());
    }
}
