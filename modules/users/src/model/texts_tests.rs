//! Any text at all as a value of a profile: it is refused, or its normal form is the normal form of itself. And any
//! patch: merging it twice is merging it once.

use contracts::{Time, UserId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{Change, Namespace, Profile, merge};
use super::*;

type Parser = fn(&str) -> Result<String, BrokenWord>;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec(("[ab~/]{0,2}", inner), 0..4).prop_map(|all| all.into_iter().collect())
}

fn field() -> impl Strategy<Value = String> {
    let names = [
        "display_name",
        "given_name",
        "family_name",
        "phone",
        "locale",
        "time_zone",
        "avatar_url",
        "attributes",
        "email",
    ];
    prop_oneof![4 => prop::sample::select(names.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn a_normal_form_is_the_normal_form_of_itself(
        any in any::<String>(),
        phone in "\\+[0-9]{5,17}",
        zone in prop::sample::select(vec!["europe/vienna", "UTC", "EST5EDT", "America/Argentina/Buenos_Aires", "asia/calcutta"]),
        url in "https://[a-zA-Z0-9.\u{e4}-]{1,12}(:[0-9]{1,5})?/[ -~\u{e4}\u{4e2d}]{0,40}",
    ) {
        let parsers: [(Parser, &String); 3] =
            [(self::phone, &phone), (time_zone, &zone.to_owned()), (avatar_url, &url)];
        for (parse, likely) in parsers {
            for text in [likely, &any] {
                let Ok(once) = parse(text) else { continue };
                prop_assert_eq!(parse(&once), Ok(once));
            }
        }
    }

    #[test]
    fn an_address_that_grows_is_as_long_as_it_may_be(letters in 600..1_000_usize) {
        let text = format!("https://example.org/{}", "\u{e4}".repeat(letters));
        prop_assert!(avatar_url(&text).is_err(), "{} bytes grow to {}", text.len(), letters * 6);
    }

    #[test]
    fn merging_twice_is_merging_once(target in object(value()), patch in object(value())) {
        let mut once = target;
        merge(&mut once, patch.clone());
        let mut twice = once.clone();
        merge(&mut twice, patch);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_patch_is_refused_or_leaves_nothing_to_change(
        said in proptest::collection::vec((field(), value()), 0..5),
        name in "\\PC{0,20}",
    ) {
        let mut patch: Map<String, Value> = said.into_iter().collect();
        for patch in [patch.clone(), { patch.retain(|_, value| value.is_null()); patch.insert("given_name".to_owned(), json!(name)); patch }] {
            let before = Profile::empty(UserId::new(), Time::from_micros(0));
            if let Ok(change) = Change::patch(&before, &patch) {
                let again = Change::patch(&change.profile, &patch);
                prop_assert!(again.is_ok_and(|again| again.changed.is_empty()), "{:?}", patch);
            }
        }
    }

    #[test]
    fn a_namespace_is_the_text_it_was_read_from(text in "[a-z0-9_.A-Z-]{0,70}", other in any::<String>()) {
        for text in [text, other] {
            if let Ok(namespace) = text.parse::<Namespace>() {
                prop_assert_eq!(namespace.as_str(), text.as_str());
            }
        }
    }
}
