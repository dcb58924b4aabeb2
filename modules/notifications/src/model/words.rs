//! Text that came from somebody, made safe for the place it is put: a line, a paragraph, a greeting, a subject.
//!
//! HTML escaping is not here, it is what the renderer does with every value. Here go the things that escaping does
//! not see: control characters, writing-direction tricks, and words that mail programs turn into links by themselves.

/// Characters that are never shown but change what is around them: controls and the directional overrides.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: hidden characters gone, every run of white space one space.
pub(crate) fn line(text: &str) -> String {
    let visible: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !hidden(*c)).collect();
    visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Several lines: hidden characters gone, line ends as `\n`, none at the ends.
pub(crate) fn prose(text: &str) -> String {
    let lines =
        text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'], "\n");
    let visible: String = lines
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| *c == '\n' || !hidden(*c))
        .collect();
    visible.trim().to_owned()
}

/// How a person is called, as a greeting may say it: one line of at most 100 characters in which nothing looks like
/// an address to click. None when nothing is left.
pub(crate) fn name(text: &str) -> Option<String> {
    let short: String = unlinked(&line(text)).chars().take(100).collect();
    let short = short.trim();
    (!short.is_empty()).then(|| short.to_owned())
}

/// What kind of device a client says it is, in words that a reader knows: `Firefox, Linux`. What is not known is told
/// by its first word.
pub(crate) fn device(user_agent: &str) -> Option<String> {
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let known = |all: &[(&str, &'static str)]| {
        all.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser}, {system}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => {
            let first = user_agent.split([' ', '/', '(']).next().unwrap_or_default();
            name(&first.chars().take(40).collect::<String>())
        }
    }
}

/// A subject: one line of at most 200 characters in which nothing looks like an address to click.
pub(crate) fn subject(text: &str) -> String {
    unlinked(&line(text)).chars().take(200).collect()
}

/// Takes addresses out and breaks up what a mail program would take for one (`evil.example`).
fn unlinked(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "<>\"'()[]{}|\\^`,;".contains(c);
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        let end = piece.strip_prefix(word).unwrap_or("");
        push_unlinked(word, &mut out);
        out.push_str(end);
    }
    line(&out)
}

fn push_unlinked(word: &str, out: &mut String) {
    let lower = word.to_lowercase();
    if let Some((before, _)) = word.split_once("//") {
        let scheme = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        out.push_str(before.trim_end_matches(scheme));
        return;
    }
    if lower.starts_with("www.") {
        return;
    }
    let chars: Vec<char> = word.chars().collect();
    for (index, c) in chars.iter().enumerate() {
        out.push(*c);
        let after = chars.get(index + 1..).unwrap_or(&[]);
        let label = after.iter().take_while(|c| c.is_alphanumeric() || **c == '-').count();
        let letters = after.first().is_some_and(|c| c.is_alphabetic());
        if matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}') && index > 0 && letters && label > 1 {
            out.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_told_in_known_words() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1";
        assert_eq!(device(firefox).as_deref(), Some("Firefox, Linux"));
        assert_eq!(device(phone).as_deref(), Some("Safari, iPhone"));
        assert_eq!(device("curl/8.5.0").as_deref(), Some("curl"));
        assert_eq!(device("http://evil.example/ click").as_deref(), Some("http:"));
        assert_eq!(device("evil.example/1").as_deref(), Some("evil. example"));
        assert_eq!(device(""), None);
    }

    #[test]
    fn a_line_has_no_way_to_become_two() {
        assert_eq!(line("  a\r\nBcc: x\u{2028}b\u{0}\u{1b}[31m\u{202e}c  "), "a Bcc: x b[31mc");
        assert_eq!(prose("\u{feff}a\r\nb\rc\u{2029}\td\u{7}\n\n"), "a\nb\nc\n d");
    }

    #[test]
    fn names_stay_names_and_links_go() {
        let cases = [
            ("Ada Lovelace", "Ada Lovelace"),
            ("J.R.R. Tolkien", "J.R.R. Tolkien"),
            ("Mary-Jane O'Neil", "Mary-Jane O'Neil"),
            ("Zoë 🦀", "Zoë 🦀"),
            ("Martin Luther King, Jr.", "Martin Luther King, Jr."),
            ("<a href=//evil>Click</a>", "<a href=>Click</a>"),
            ("Free money at http://evil.example/x?y=1 now", "Free money at now"),
            ("HTTPS://EVIL.EXAMPLE", ""),
            ("www.evil.example", ""),
            ("evil.example", "evil. example"),
            ("evil\u{3002}example", "evil\u{3002} example"),
            ("x@evil.example", "x@evil. example"),
            ("{{7*7}}", "{{7*7}}"),
            ("h\u{200b}ttp://evil.example", ""),
        ];
        for (given, expected) in cases {
            assert_eq!(name(given).unwrap_or_default(), expected, "{given}");
        }
        assert_eq!(name(&"ab ".repeat(100)).unwrap().chars().count(), 99 + 1);
    }

    proptest! {
        #[test]
        fn whatever_is_given_a_subject_is_one_line_without_addresses(text in any::<String>(), tail in "[a-z]{1,9}") {
            let subject = subject(&format!("{text} https://{tail}.example {text}"));
            prop_assert!(!subject.chars().any(|c| c.is_control()));
            prop_assert!(!subject.contains("//"));
            prop_assert!(subject.chars().count() <= 200);
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text in any::<String>()) {
            prop_assert_eq!(line(&line(&text)), line(&text));
            prop_assert_eq!(prose(&prose(&text)), prose(&text));
        }
    }
}
