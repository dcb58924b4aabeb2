//! Which language a message is written in: the closest one that there are words for.
//!
//! A plain fallback chain (RFC 4647 section 3.4, lookup): `de-AT`, then `de`, then the default, then English. Guessing
//! from anything but the person's own choice is left out.

/// The languages that every template is written in; English is the last resort.
pub(crate) const LOCALES: [&str; 2] = ["en", "de"];

/// The language for somebody whose wishes are given in order of weight.
pub(crate) fn best<'a>(wishes: impl IntoIterator<Item = &'a str>) -> &'static str {
    wishes.into_iter().find_map(closest).unwrap_or("en")
}

/// Whether there are words for this language, or for a wider one.
pub(crate) fn is_known(wish: &str) -> bool {
    closest(wish).is_some()
}

fn closest(wish: &str) -> Option<&'static str> {
    let wish = wish.trim().replace('_', "-").to_ascii_lowercase();
    let mut rest = wish.as_str();
    loop {
        if let Some(found) = LOCALES.iter().find(|locale| **locale == rest) {
            return Some(found);
        }
        rest = rest.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_closest_language_is_taken() {
        let cases: [(&[&str], &str); 9] = [
            (&["de-AT", "en"], "de"),
            (&["de-Latn-CH-1996"], "de"),
            (&["de_DE"], "de"),
            (&["DE"], "de"),
            (&["fr-CA", "de-DE"], "de"),
            (&["fr"], "en"),
            (&[""], "en"),
            (&["den", "../de"], "en"),
            (&[], "en"),
        ];
        for (wishes, expected) in cases {
            assert_eq!(best(wishes.iter().copied()), expected, "{wishes:?}");
        }
    }
}
