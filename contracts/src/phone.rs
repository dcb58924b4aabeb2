//! Phone numbers in their one normal form, E.164: `+436601234567`.
//!
//! Left out: whether a country gives such numbers out, and whether anybody answers.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not a phone number in E.164.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Must be a phone number with its country code, such as +436601234567.")]
pub struct PhoneError;

impl From<PhoneError> for (&'static str, Cow<'static, str>) {
    fn from(error: PhoneError) -> Self {
        ("malformed_phone", error.to_string().into())
    }
}

/// A phone number (ITU-T E.164 section 6): a plus, and 7 to 15 ASCII digits of which the first is not zero. `Debug`
/// doesn't show it.
#[derive(Clone, PartialEq, Eq, Hash, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^\\+[1-9][0-9]{6,14}$")]
pub struct PhoneNumber(String);

/// Calling codes of one and of two digits (ITU-T E.164 annex); all others have three.
const TWO_DIGITS: [&str; 43] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48",
    "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81",
    "82", "84", "86", "90", "91", "92", "93", "94", "95",
];

impl PhoneNumber {
    /// Reads a number.
    ///
    /// # Errors
    /// When it is anything else, spaces and brackets included.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let digits = text.strip_prefix('+').ok_or(PhoneError)?;
        let good = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if good { Ok(Self(text.to_owned())) } else { Err(PhoneError) }
    }

    /// The number, as it is dialled and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The calling code of its country, such as `43`; `1` and `7` are shared by several.
    #[must_use]
    pub fn country_code(&self) -> &str {
        let digits = self.0.trim_start_matches('+');
        let length = match digits.get(..2) {
            _ if digits.starts_with(['1', '7']) => 1,
            Some("98") => 2,
            Some(two) if TWO_DIGITS.contains(&two) => 2,
            _ => 3,
        };
        digits.get(..length).unwrap_or(digits)
    }

    /// The number without its last three digits: the thousand numbers around it.
    #[must_use]
    pub fn range(&self) -> &str {
        self.0.get(..self.0.len().saturating_sub(3)).unwrap_or(&self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(***)")
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_spelling_is_a_number() {
        assert!(PhoneNumber::parse("+436601234567").is_ok());
        for bad in [
            "",
            "+",
            "0660",
            "436601234567",
            "+0660123456",
            "+43 660 123",
            "+43(660)123456",
            "+4366012345678901",
            "+123456",
            "+\u{664}\u{663}66012345",
            "+4366012345\n",
            "+43660123;ext=1",
            "++4366012345",
        ] {
            assert!(PhoneNumber::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_knows_its_country_and_its_neighbours() {
        let of = |text: &str| {
            let number = PhoneNumber::parse(text).unwrap();
            (number.country_code().to_owned(), number.range().to_owned())
        };
        assert_eq!(of("+436601234567"), ("43".to_owned(), "+436601234".to_owned()));
        assert_eq!(of("+12025550123").0, "1");
        assert_eq!(of("+79161234567").0, "7");
        assert_eq!(of("+989121234567").0, "98");
        assert_eq!(of("+3546112345").0, "354");
        assert_eq!(of("+37067061234").0, "370");
    }

    #[test]
    fn a_number_does_not_print_itself() {
        assert_eq!(format!("{:?}", PhoneNumber::parse("+436601234567").unwrap()), "PhoneNumber(***)");
    }

    proptest! {
        #[test]
        fn a_number_is_the_text_it_was_read_from(text in "\\+?[0-9]{0,20}", other in any::<String>()) {
            for text in [text, other] {
                let Ok(number) = PhoneNumber::parse(&text) else { continue };
                prop_assert_eq!(number.as_str(), text.as_str());
                prop_assert!(text.trim_start_matches('+').starts_with(number.country_code()) && text.starts_with(number.range()));
            }
        }
    }
}
