//! E-mail addresses: parsed and normalised once, here, so that the rest of the house only ever sees good ones.
//!
//! Narrower than RFC 5321 on purpose: no quoted local parts, no comments, no address literals. Mail systems disagree
//! about those, and where they disagree somebody else gets the mail. What it leaves out: whether the mailbox exists.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::{UnicodeNormalization, is_nfkc};

/// The text is not an address we deliver to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form local@domain.
    #[error("Must be an e-mail address such as mia@example.org.")]
    Malformed,
    /// Longer than 254 octets (RFC 5321 section 4.5.3.1.3), or a local part longer than 64.
    #[error("An e-mail address has at most 254 characters, 64 of them before the @.")]
    TooLong,
    /// It changes when its characters are normalised, so that it could be taken for another one.
    #[error("The e-mail address holds characters that can be taken for others.")]
    Ambiguous,
}

impl From<AddressError> for (&'static str, Cow<'static, str>) {
    fn from(error: AddressError) -> Self {
        let code = match error {
            AddressError::Malformed => "malformed_address",
            AddressError::TooLong => "too_long",
            AddressError::Ambiguous => "ambiguous_address",
        };
        (code, error.to_string().into())
    }
}

/// An e-mail address in its one normal form: NFKC, lower case, domain in ASCII (IDNA).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = Email, max_length = 254)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads and normalises an address. Normalising what comes out changes nothing.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > 254 {
            return Err(AddressError::TooLong);
        }
        if !is_nfkc(text) {
            // A sign that turns into an @ makes it another address; the others only make it look like one.
            let normal: String = text.nfkc().collect();
            let kept = normal.matches('@').count() == 1 && text.matches('@').count() == 1;
            return Err(if kept { AddressError::Ambiguous } else { AddressError::Malformed });
        }
        let (local, domain) = text.split_once('@').ok_or(AddressError::Malformed)?;
        if domain.contains('@') {
            return Err(AddressError::Malformed);
        }
        let local = normal_local(local)?;
        let domain = normal_domain(domain)?;
        let address = format!("{local}@{domain}");
        if address.len() > 254 {
            return Err(AddressError::TooLong);
        }
        Ok(Self(address))
    }

    /// The address, as mail is sent to it and as it is compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Dot-atom of letters, digits and the harmless signs of RFC 5322 section 3.2.3. Letters beyond ASCII (RFC 6531)
/// are accepted when lower-casing them is the end of it: a letter whose fold is another letter, such as the long s or
/// the dotless i, would make two addresses one.
fn normal_local(local: &str) -> Result<String, AddressError> {
    if local.len() > 64 {
        return Err(AddressError::TooLong);
    }
    if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressError::Malformed);
    }
    let allowed = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if !local.chars().all(allowed) {
        return Err(AddressError::Malformed);
    }
    let lower = local.to_lowercase();
    // A few small letters take more bytes than their capital ones.
    if lower.len() > 64 {
        return Err(AddressError::TooLong);
    }
    let settled: String = lower.to_uppercase().to_lowercase().nfkc().collect();
    if settled != lower || !lower.chars().all(allowed) {
        return Err(AddressError::Ambiguous);
    }
    Ok(lower)
}

/// A host name of at least two labels. The domain may be written in Unicode and becomes ASCII; a label that only
/// pretends to be encoded (`xn--` before plain ASCII) is refused by IDNA itself.
fn normal_domain(domain: &str) -> Result<String, AddressError> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Malformed)?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let good = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let numeric_end = labels.last().is_none_or(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if labels.len() < 2 || numeric_end || !labels.iter().all(good) {
        return Err(AddressError::Malformed);
    }
    Ok(ascii)
}

/// Addresses are personal data: they don't print themselves into logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(***)")
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_unicode_domains_have_one_form() {
        assert_eq!(EmailAddress::parse("Mia@Example.ORG").unwrap().as_str(), "mia@example.org");
        assert_eq!(EmailAddress::parse("mia@bücher.example").unwrap().as_str(), "mia@xn--bcher-kva.example");
        assert_eq!(
            EmailAddress::parse("O'Neil+List@example.org").unwrap().as_str(),
            "o'neil+list@example.org"
        );
    }

    #[test]
    fn what_could_reach_somebody_else_is_refused() {
        let bad = [
            "",
            "@",
            "a@",
            "@b.org",
            "a@b",
            "a b@c.org",
            "a@b@c.org",
            "\"a@evil.test\"@b.org",
            "\"a\"@b.org",
            "a,b@c.org",
            "a;b@c.org",
            "<a@b.org>",
            "a@b.org\r\nBcc: x@y.org",
            "a\0@b.org",
            "a@b..org",
            ".a@b.org",
            "a.@b.org",
            "a..b@c.org",
            "a@-b.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a(x)@b.org",
            "victim@corp.test\u{ff20}evil.test",
            "victim@corp.test\u{fe6b}evil.test",
            "m\u{131}ke@e.test",
            "M\u{130}KE@e.test",
            "mi\u{17f}a@e.test",
            "mi\u{212a}e@e.test",
            "\u{fb01}n@e.test",
            "a\u{200b}b@c.org",
            "a\u{202e}b@c.org",
            "a@b.org.",
            "a@xn--example-.org",
            "a@b_c.org",
            "\u{1d2e}ig@b.org",
        ];
        for text in bad {
            assert!(EmailAddress::parse(text).is_err(), "{text:?} was accepted");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@b.org", "a".repeat(65))), Err(AddressError::TooLong));
        assert_eq!(EmailAddress::parse(&"a".repeat(300)), Err(AddressError::TooLong));
    }

    #[test]
    fn an_address_does_not_print_itself() {
        assert_eq!(format!("{:?}", EmailAddress::parse("mia@example.org").unwrap()), "EmailAddress(***)");
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in "\\PC{1,20}@\\PC{1,20}\\.[a-z]{2,5}") {
            if let Ok(once) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(once.as_str()), Ok(once));
            }
        }

        /// Small letters may take more bytes than capital ones.
        #[test]
        fn an_address_that_grows_is_as_long_as_it_may_be(local in "[\u{23a}\u{23e}a]{1,64}") {
            if let Ok(once) = EmailAddress::parse(&format!("{local}@example.org")) {
                prop_assert_eq!(EmailAddress::parse(once.as_str()), Ok(once));
            }
        }

        /// Letters that have other forms, where most of an address is one.
        #[test]
        fn no_form_of_a_letter_has_another_form(
            local in "[a-zA-Z0-9.+'\u{131}\u{17f}\u{212a}\u{fb01}\u{e9}\u{301}]{1,12}",
            domain in "[a-zA-Z0-9\u{e4}\u{df}\u{3c2}\u{130}\u{ff41}\u{301}\u{200d}-]{1,12}\\.[a-zA-Z]{2,5}",
        ) {
            let text = format!("{local}@{domain}");
            if let Ok(once) = EmailAddress::parse(&text) {
                prop_assert!(once.as_str().matches('@').count() == 1, "{}", once.as_str());
                prop_assert_eq!(EmailAddress::parse(&once.as_str().to_uppercase()), Ok(once));
            }
        }

        #[test]
        fn nothing_makes_the_parser_panic(text in any::<String>()) {
            let _ = EmailAddress::parse(&text);
        }
    }
}
