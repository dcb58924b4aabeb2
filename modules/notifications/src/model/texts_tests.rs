//! Any text at all as the variables of a message, a language or a receipt: it is refused, or it is text in every part.

use contracts::{Fields, Time};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use std::time::Duration;

use super::locale::{LOCALES, best, is_known};
use super::receipt::{is_signed, is_signed_by_twilio, of_body, of_twilio};
use super::render::{Letter, Link, Renderer};
use super::template::{CATALOGUE, find};
use super::{DeliveryId, words};

static RENDERER: LazyLock<Renderer> = LazyLock::new(|| Renderer::new("Doorward").unwrap());

/// What opens a tag, a variable or a statement, among other texts.
fn evil() -> impl Strategy<Value = String> {
    let opening = prop::sample::select(
        &["<script>", "{{7*7}}", "{% raw %}", "\"><img", "</body>", "\r\nBcc: x", "&lt;"][..],
    );
    (any::<String>(), opening, "\\PC{0,20}")
        .prop_map(|(before, opening, after)| format!("{before}{opening}{after}"))
}

proptest! {
    #[test]
    fn whatever_is_written_is_text_in_every_part(
        subject in evil(), text in evil(), name in evil(), link in "https?://[a-z]{1,8}(\\.[a-z]{2,4})?/[ -~]{0,20}",
    ) {
        let template = find("announcement").unwrap();
        let data = json!({ "subject": subject, "text": text, "link": link });
        let mut fields = Fields::default();
        let kept = template.check(data.as_object().unwrap(), &mut fields);
        if fields.finish().is_err() {
            return Ok(());
        }
        let mut fields = Fields::default();
        prop_assert_eq!(template.check(&kept, &mut fields), kept.clone(), "what is kept would not be kept again");
        prop_assert!(fields.finish().is_ok());
        for locale in LOCALES {
            let letter = Letter {
                template, locale, display_name: Some(&name), data: &kept, link: None, happened_at: Time::MAX, unsubscribe: None,
            };
            let said = RENDERER.render(&letter).unwrap();
            prop_assert!(!said.html.contains("<script") && !said.html.contains("<img"), "{}", said.html);
            prop_assert_eq!(said.html.matches("</body>").count(), 1);
            prop_assert!(!said.subject.chars().any(char::is_control) && said.subject.chars().count() <= 200);
            RENDERER.notice(&letter).unwrap();
            RENDERER.sms(&letter).unwrap();
        }
    }

    #[test]
    fn any_variables_are_refused_or_rendered(
        at in 0..CATALOGUE.len(), said in proptest::collection::vec(("[a-z]{1,8}", any::<String>()), 0..3), filled in evil(),
    ) {
        let template = &CATALOGUE[at];
        let mut data: Map<String, Value> = said.into_iter().map(|(name, text)| (name, Value::from(text))).collect();
        for variable in template.variables.iter().filter(|_| filled.len() % 2 == 0) {
            data.insert(variable.name.to_owned(), Value::from(filled.clone()));
        }
        let mut fields = Fields::default();
        let kept = template.check(&data, &mut fields);
        if fields.finish().is_ok() {
            let link = template.has_minted_link().then_some(Link { url: "https://id.example.org/x", lives: Duration::from_secs(60) });
            let letter = Letter {
                template, locale: "en", display_name: None, data: &kept, link, happened_at: Time::MAX, unsubscribe: None,
            };
            prop_assert!(RENDERER.render(&letter).is_ok());
        }
    }

    #[test]
    fn any_wish_has_a_language(wish in "[a-zA-Z_-]{0,12}", other in any::<String>()) {
        for wish in [wish, other] {
            let chosen = best([wish.as_str()]);
            prop_assert!(LOCALES.contains(&chosen));
            prop_assert!(is_known(&wish) || chosen == "en");
            prop_assert_eq!(best([chosen]), chosen);
        }
    }

    #[test]
    fn rubbish_is_no_receipt_and_signed_by_nobody(
        body in proptest::collection::vec(any::<u8>(), 0..200), form in "(MessageStatus|SmsStatus|ErrorCode|MessageSid)=[ -~]{0,20}(&[A-Za-z]{1,9}=[ -~]{0,9}){0,3}",
        signature in "(sha256=)?[0-9a-fA-F]{60,66}", other in any::<String>(),
    ) {
        let delivery = DeliveryId::new();
        for body in [body.as_slice(), form.as_bytes()] {
            prop_assert!(of_body(body).is_none());
            let receipt = of_twilio(delivery, body);
            prop_assert!(receipt.is_none_or(|it| it.delivery == delivery && it.code.is_none_or(|code| code.len() <= 64)));
            for signature in [signature.as_str(), other.as_str()] {
                prop_assert!(!is_signed("a secret", body, signature));
                prop_assert!(!is_signed_by_twilio("a secret", "https://id.example.org/", body, signature));
            }
        }
        prop_assert_eq!(words::line(&words::line(&other)), words::line(&other));
    }
}
