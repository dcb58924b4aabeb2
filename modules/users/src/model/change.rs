//! How a merge patch (RFC 7396) changes a profile: what is absent stays, null takes away, and every broken rule is
//! told at once.

use contracts::{Fields, Result};
use serde::Deserialize;
use serde_json::Value;

use super::text::{self, Broken};
use super::{Object, Profile, extent, merge};

/// Bytes that all attributes together may have, as JSON.
const ATTRIBUTE_BYTES: usize = 16 * 1024;

/// How deep attributes may be nested.
const ATTRIBUTE_DEPTH: usize = 8;

/// A merge patch as it came: nothing is checked but its shape.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProfilePatch {
    /// How the person is called: 1 to 200 characters in one line.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub(crate) display_name: Option<Option<String>>,
    /// 1 to 200 characters in one line.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub(crate) given_name: Option<Option<String>>,
    /// 1 to 200 characters in one line.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub(crate) family_name: Option<Option<String>>,
    /// A telephone number as in E.164.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, example = "+436601234567")]
    pub(crate) phone: Option<Option<String>>,
    /// A language tag (BCP 47).
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, max_length = 35, example = "de-AT")]
    pub(crate) locale: Option<Option<String>>,
    /// A name of the IANA time zone database.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, example = "Europe/Vienna")]
    pub(crate) time_zone: Option<Option<String>>,
    /// Where a picture is: https.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2048)]
    pub(crate) avatar_url: Option<Option<String>>,
    /// Free attributes, patched in the same way; at most 16 KiB and 8 levels all together.
    #[serde(deserialize_with = "platform::http::present")]
    #[schema(value_type = Option<Object>)]
    pub(crate) attributes: Option<Option<Object>>,
}

/// What became of a patch.
#[derive(Debug)]
pub(crate) struct Change {
    /// The profile with the patch applied.
    pub(crate) profile: Profile,
    /// The names of the fields that are different now.
    pub(crate) changed: Vec<&'static str>,
}

impl ProfilePatch {
    /// The profile with this patch applied.
    ///
    /// # Errors
    /// Every broken rule, by field.
    pub(crate) fn apply(self, before: &Profile) -> Result<Change> {
        let mut fields = Fields::default();
        let mut profile = before.clone();
        set(&mut fields, "/display_name", self.display_name, text::name, &mut profile.display_name);
        set(&mut fields, "/given_name", self.given_name, text::name, &mut profile.given_name);
        set(&mut fields, "/family_name", self.family_name, text::name, &mut profile.family_name);
        set(&mut fields, "/phone", self.phone, text::phone, &mut profile.phone);
        set(&mut fields, "/locale", self.locale, text::locale, &mut profile.locale);
        set(&mut fields, "/time_zone", self.time_zone, text::time_zone, &mut profile.time_zone);
        set(&mut fields, "/avatar_url", self.avatar_url, text::avatar_url, &mut profile.avatar_url);
        set_attributes(&mut fields, self.attributes, &mut profile.attributes);
        fields.finish()?;
        let changed = differences(before, &profile);
        Ok(Change { profile, changed })
    }
}

fn set(
    fields: &mut Fields,
    pointer: &str,
    patch: Option<Option<String>>,
    parse: impl Fn(&str) -> std::result::Result<String, Broken>,
    target: &mut Option<String>,
) {
    match patch {
        None => {}
        Some(None) => *target = None,
        Some(Some(text)) => {
            if let Some(value) = fields.take(pointer, parse(&text)) {
                *target = Some(value);
            }
        }
    }
}

fn set_attributes(fields: &mut Fields, patch: Option<Option<Object>>, target: &mut Object) {
    match patch {
        None => {}
        Some(None) => target.clear(),
        Some(Some(patch)) => {
            merge(target, patch);
            let (depth, bytes) = extent(&Value::Object(target.clone()));
            if depth > ATTRIBUTE_DEPTH {
                fields.broken("/attributes", "too_deep", "Attributes are nested at most 8 levels deep.");
            }
            if bytes > ATTRIBUTE_BYTES {
                fields.broken("/attributes", "too_large", "Attributes have at most 16 KiB all together.");
            }
        }
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

    fn patched(patch: Value) -> Result<Change> {
        let mut before = Profile::empty(UserId::new(), Time::from_micros(0));
        before.given_name = Some("Mia".to_owned());
        before.attributes = json!({ "team": "blue", "deep": { "a": 1, "b": 2 } }).as_object().unwrap().clone();
        serde_json::from_value::<ProfilePatch>(patch).unwrap().apply(&before)
    }

    #[test]
    fn absent_stays_null_clears_and_objects_merge() {
        let change = patched(json!({
            "given_name": null, "family_name": "Müller", "attributes": { "team": null, "deep": { "a": 7 } }
        }))
        .unwrap();
        assert_eq!((change.profile.given_name, change.profile.display_name), (None, None));
        assert_eq!(Value::Object(change.profile.attributes), json!({ "deep": { "a": 7, "b": 2 } }));
        assert_eq!(change.changed, ["given_name", "family_name", "attributes"]);
        assert!(patched(json!({ "given_name": "Mia" })).unwrap().changed.is_empty());
    }

    #[test]
    fn every_broken_rule_is_told() {
        let deep = (0..9).fold(json!(1), |inner, _| json!({ "x": inner }));
        let error = patched(json!({
            "display_name": "", "phone": "1", "locale": "?", "time_zone": "x", "avatar_url": "x",
            "attributes": { "deep": deep, "large": "x".repeat(ATTRIBUTE_BYTES) }
        }))
        .unwrap_err();
        let told: Vec<_> = error.fields.iter().map(|field| (field.pointer.as_str(), &*field.code)).collect();
        assert_eq!(told.len(), 7, "{told:?}");
    }
}
