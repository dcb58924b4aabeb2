//! What a provider says became of a short message, and whether it was really the provider who said so.
//!
//! Two ways are understood: that of Twilio (a form, signed with HMAC-SHA1 over address and fields) and a plain one (JSON,
//! signed with HMAC-SHA256 over the body). Signatures are compared in constant time.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::DeliveryId;

/// What became of it, as far as it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It arrived.
    Delivered,
    /// It will not arrive.
    Undelivered,
}

impl Arrival {
    /// What a provider's word means; none for one that says nothing final.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "delivered" | "read" => Some(Self::Delivered),
            "undelivered" | "failed" | "rejected" | "expired" => Some(Self::Undelivered),
            _ => None,
        }
    }
}

/// A receipt whose signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) delivery: DeliveryId,
    /// What the provider calls the message.
    pub(crate) reference: Option<String>,
    /// None when it is not over yet.
    pub(crate) arrival: Option<Arrival>,
    /// The provider's error code, when it is a plain number or word.
    pub(crate) code: Option<String>,
}

/// Twilio's signature: base64 of HMAC-SHA1 over the address and every field and value, sorted by name.
pub(crate) fn is_signed_by_twilio(token: &str, url: &str, body: &[u8], signature: &str) -> bool {
    let Ok(tag) = STANDARD.decode(signature) else { return false };
    let mut signed = url.to_owned();
    for (name, value) in form(body) {
        signed.push_str(&name);
        signed.push_str(&value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
}

/// The plain signature: HMAC-SHA256 over the body, in hexadecimal digits, with or without `sha256=` before it.
pub(crate) fn is_signed(secret: &str, body: &[u8], signature: &str) -> bool {
    let Some(tag) = unhex(signature.strip_prefix("sha256=").unwrap_or(signature)) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, body, &tag).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Reads Twilio's receipt of this delivery. None when it is no receipt.
pub(crate) fn of_twilio(delivery: DeliveryId, body: &[u8]) -> Option<Receipt> {
    let fields = form(body);
    let word = fields.get("MessageStatus").or_else(|| fields.get("SmsStatus"))?;
    let reference = fields.get("MessageSid").or_else(|| fields.get("SmsSid")).cloned();
    Some(Receipt {
        delivery,
        reference: named(reference)?,
        arrival: Arrival::of(word),
        code: fields.get("ErrorCode").and_then(|code| plain(code)),
    })
}

#[derive(Deserialize)]
struct Body {
    reference: DeliveryId,
    id: Option<String>,
    status: String,
    code: Option<String>,
}

/// Reads a plain receipt: `{"reference": …, "status": "delivered", "id"?, "code"?}`. None when it is no receipt.
pub(crate) fn of_body(body: &[u8]) -> Option<Receipt> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let (code, arrival) = (body.code.as_deref().and_then(plain), Arrival::of(&body.status));
    Some(Receipt { delivery: body.reference, reference: named(body.id)?, arrival, code })
}

/// The name of a message, if there is one; none when it can't be one.
fn named(reference: Option<String>) -> Option<Option<String>> {
    reference.as_deref().is_none_or(is_reference).then_some(reference)
}

/// Whether a provider may call a message so: it is kept and shown.
pub(crate) fn is_reference(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// A code is shown to administrators and logged: never more than a short word.
pub(crate) fn plain(code: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    ((1..=32).contains(&code.len()) && code.chars().all(good)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_twilios() {
        // The example of Twilio's documentation on validating requests.
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let body = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212";
        let good = "GvWf1cFY/Q7PnoempGyD5oXAezc=";
        assert!(is_signed_by_twilio("12345", url, body, good));
        assert!(!is_signed_by_twilio("12346", url, body, good));
        assert!(!is_signed_by_twilio("12345", "https://mycompany.com/myapp.php", body, good));
        assert!(!is_signed_by_twilio("12345", url, b"CallSid=CA1234567890ABCDE", good));
        for forged in ["", "=", "GvWf1cFY/Q7PnoempGyD5oXAezd=", "GvWf1cFY"] {
            assert!(!is_signed_by_twilio("12345", url, body, forged), "{forged}");
        }
    }

    #[test]
    fn a_body_is_signed_whole() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"hush");
        let tag: String = hmac::sign(&key, b"{}").as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(is_signed("hush", b"{}", &tag) && is_signed("hush", b"{}", &format!("sha256={tag}")));
        assert!(!is_signed("hush", b"{} ", &tag) && !is_signed("hush!", b"{}", &tag));
        for forged in ["", "00", &tag.chars().take(62).collect::<String>(), &"ü".repeat(32)] {
            assert!(!is_signed("hush", b"{}", forged), "{forged}");
        }
    }

    #[test]
    fn words_that_are_not_final_change_nothing() {
        assert_eq!(Arrival::of("delivered"), Some(Arrival::Delivered));
        assert_eq!(Arrival::of("Undelivered"), Some(Arrival::Undelivered));
        for word in ["queued", "sent", "accepted", "", "delivered "] {
            assert_eq!(Arrival::of(word), None, "{word}");
        }
    }

    #[test]
    fn a_receipt_that_calls_a_message_what_none_is_called_is_none() {
        let delivery = DeliveryId::new();
        for (name, good) in [("SM1", true), ("", false), ("a b", false), ("x\n", false), ("ü", false)] {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("MessageStatus", "delivered"), ("MessageSid", name)])
                .finish();
            assert_eq!(of_twilio(delivery, form.as_bytes()).is_some(), good, "{name:?}");
            let body = serde_json::json!({ "reference": delivery, "status": "delivered", "id": name });
            assert_eq!(of_body(body.to_string().as_bytes()).is_some(), good, "{name:?}");
        }
        assert!(is_reference(&"x".repeat(128)) && !is_reference(&"x".repeat(129)));
    }

    #[test]
    fn a_code_is_a_short_word() {
        assert_eq!(plain("30003").as_deref(), Some("30003"));
        for bad in ["", "a b", "+4366012345", "x\n", &"1".repeat(33)] {
            assert_eq!(plain(bad), None, "{bad:?}");
        }
    }
}
