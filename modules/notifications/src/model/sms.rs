//! How many parts a short message needs, which is what it costs (3GPP TS 23.038 and 23.040 section 9.2.3.24).
//!
//! In the alphabet of GSM a part holds 160 characters, 153 when there are several; anything else is sent as UTF-16, 70
//! and 67 units. Left out: the national alphabets, which few providers use.

/// The default alphabet, without the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// What takes two places: an escape and a letter.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How many parts this text is sent in; at least one.
pub(crate) fn segments(text: &str) -> u32 {
    match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(sizes) => parts(&sizes, 160, 153),
        None => parts(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        return Some(1);
    }
    EXTENDED.contains(c).then_some(2)
}

/// A character is never cut in two.
fn parts(sizes: &[usize], alone: usize, together: usize) -> u32 {
    if sizes.iter().sum::<usize>() <= alone {
        return 1;
    }
    let (mut count, mut filled) = (1_u32, 0);
    for size in sizes {
        if filled + size > together {
            (count, filled) = (count.saturating_add(1), 0);
        }
        filled += size;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_networks_count_them() {
        let cases = [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // An escape is not parted from its letter: 76 fit into 153 places.
            ("€".repeat(152), 2),
            ("€".repeat(153), 3),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("ж".repeat(134), 2),
            ("ж".repeat(135), 3),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            (format!("{}ж", "a".repeat(70)), 2),
            ("Grüße, Jürgen".to_owned(), 1),
        ];
        for (text, expected) in cases {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }
}
