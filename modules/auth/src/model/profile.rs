//! What a person may say about himself while registering: checked here by the rules that the profile keeps, and kept by
//! whoever hears of it.

use contracts::words::{self, BrokenWord};

/// The name a person wants to be shown as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DisplayName(pub(crate) String);

impl DisplayName {
    /// Reads one, in its normal form.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, BrokenWord> {
        words::name(text).map(Self)
    }
}

/// The language a person is written to in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locale(pub(crate) String);

impl Locale {
    /// Reads one, in its normal form.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, BrokenWord> {
        words::locale(text).map(Self)
    }

    /// The one that a client likes best, as it says in `Accept-Language` (RFC 9110 section 12.5.4): of several that it likes as
    /// much the first. What is malformed or no language is passed over; there may be none.
    pub(crate) fn preferred(accept_language: &str) -> Option<Self> {
        let liked = accept_language.split(',').take(MOST_RANGES).filter_map(|range| {
            let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight = weight(parameter).filter(|weight| *weight > 0)?;
            Some((weight, Self::parse(tag.trim()).ok()?))
        });
        let mut best: Option<(u16, Self)> = None;
        for (weight, locale) in liked {
            if best.as_ref().is_none_or(|(highest, _)| weight > *highest) {
                best = Some((weight, locale));
            }
        }
        best.map(|(_, locale)| locale)
    }
}

/// More languages than anybody lists.
const MOST_RANGES: usize = 32;

/// How much a language is liked, in thousandths (RFC 9110 section 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter.trim().strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{rest:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_a_client_likes_best_is_taken() {
        for (header, expected) in [
            ("de-AT", Some("de-AT")),
            ("DE-at,en;q=0.5", Some("de-AT")),
            ("en;q=0.5, de ; q=0.9 , fr;q=0.9", Some("de")),
            ("en; Q=0.001", Some("en")),
            ("fr;q=1.000, de", Some("fr")),
            ("*, de;q=0.1", Some("de")),
            ("en-a, fr;q=0.2", Some("fr")),
            ("en;q=0, de;q=0.000, fr;q=0.2", Some("fr")),
            ("en;q=2, de;q=x, it;q=0.1234, es;q=1.5, pt;q=-1, sv;level=1, fr;q=0.2", Some("fr")),
            ("en;q=0", None),
            ("*", None),
            ("", None),
            (",;,=;q", None),
            ("../../etc, de_AT", None),
        ] {
            assert_eq!(Locale::preferred(header).map(|it| it.0).as_deref(), expected, "{header}");
        }
        assert_eq!(Locale::preferred(&format!("{}de", "x,".repeat(1_000))), None, "nobody reads on for ever");
    }
}
