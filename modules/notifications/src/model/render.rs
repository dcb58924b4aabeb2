//! A template and its variables become a subject, a text and an HTML page.
//!
//! Templates are embedded files; a variable is a value, never a piece of template. A variable that is not there is an
//! error, not an empty string. In `.html` every value is escaped; the text and the subject hold values from which
//! `words.rs` has taken what a reader could be tricked with.

mod files;

use std::fmt;
use std::time::Duration;

use contracts::Time;
use minijinja::value::{Value, ViaDeserialize};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde_json::Map;

use files::{LAYOUT, NOTICES, TEMPLATES};

use super::template::{Kind, Template};
use super::words;

/// What a message says and to whom, before it is put into words.
pub(crate) struct Letter<'a> {
    pub(crate) template: &'static Template,
    pub(crate) locale: &'static str,
    pub(crate) display_name: Option<&'a str>,
    pub(crate) data: &'a Map<String, serde_json::Value>,
    pub(crate) link: Option<Link<'a>>,
    /// When that happened which the message tells of.
    pub(crate) happened_at: Time,
    /// Where a reader says that such mails are not wanted any more.
    pub(crate) unsubscribe: Option<&'a str>,
}

/// A link that auth minted, and how long it lives from now.
#[derive(Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) url: &'a str,
    pub(crate) lives: Duration,
}

/// A message in words. It may hold a secret link, so it doesn't print itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) links: Vec<String>,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rendered(***)")
    }
}

/// The embedded templates, compiled.
pub(crate) struct Renderer {
    templates: Environment<'static>,
    product: String,
}

impl Renderer {
    /// # Errors
    /// When an embedded template can't be compiled, which a test rules out.
    pub(crate) fn new(product: &str) -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // Otherwise an error would print the variables, and with them addresses and secrets.
        templates.set_debug(false);
        templates.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        templates.set_formatter(write_value);
        templates.add_filter("paragraphs", paragraphs);
        for (name, source) in LAYOUT.iter().chain(TEMPLATES.iter().flatten()).chain(&NOTICES) {
            templates.add_template(name, source)?;
        }
        Ok(Self { templates, product: words::line(product) })
    }

    /// Puts a letter into words.
    ///
    /// # Errors
    /// When a variable is missing; the text of the error names it and holds no value.
    pub(crate) fn render(&self, letter: &Letter<'_>) -> Result<Rendered, minijinja::Error> {
        let subject = words::subject(&self.part(letter, "subject.txt", "")?);
        let text = self.part(letter, "body.txt", &subject)?;
        let html = self.part(letter, "body.html", &subject)?;
        Ok(Rendered {
            text: self.in_layout(letter, "layout/layout.txt", &subject, text)? + "\n",
            html: self.in_layout(letter, "layout/layout.html", &subject, html)? + "\n",
            subject,
            links: links(letter),
        })
    }

    /// The short form: a text for an inbox, with its subject and links beside it.
    ///
    /// # Errors
    /// As for [`Renderer::render`], and when the template has no short form.
    pub(crate) fn notice(&self, letter: &Letter<'_>) -> Result<Rendered, minijinja::Error> {
        let subject = words::subject(&self.part(letter, "subject.txt", "")?);
        let text = words::prose(&self.part(letter, "notice.txt", &subject)?);
        Ok(Rendered { subject, html: page(&text), text, links: links(letter) })
    }

    /// The short form as a text to a phone: who sends it, what it says, and its link.
    ///
    /// # Errors
    /// As for [`Renderer::notice`].
    pub(crate) fn sms(&self, letter: &Letter<'_>) -> Result<Rendered, minijinja::Error> {
        let notice = self.notice(letter)?;
        let said =
            [format!("{}: {}", self.product, notice.text)].into_iter().chain(notice.links.iter().cloned());
        let text = said.collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject: String::new(), html: page(&text), text, links: notice.links })
    }

    fn part(&self, letter: &Letter<'_>, file: &str, subject: &str) -> Result<String, minijinja::Error> {
        let name = format!("{}/{}/{file}", letter.template.name, letter.locale);
        let data: Map<String, serde_json::Value> = letter
            .template
            .variables
            .iter()
            .map(|variable| (variable.name.to_owned(), shown(letter.data.get(variable.name), variable.kind)))
            .collect();
        self.templates.get_template(&name)?.render(context! {
            name => letter.display_name.and_then(words::name),
            data => Value::from_serialize(&data),
            link => letter.link.map(|link| context! { url => link.url, lasting => lasting(link.lives) }),
            product => self.product,
            when => minute(letter.happened_at),
            subject,
        })
    }

    fn in_layout(
        &self,
        letter: &Letter<'_>,
        layout: &str,
        subject: &str,
        content: String,
    ) -> Result<String, minijinja::Error> {
        self.templates.get_template(layout)?.render(context! {
            content => Value::from_safe_string(content),
            locale => letter.locale,
            product => self.product,
            unsubscribe => letter.unsubscribe,
            subject,
        })
    }
}

/// A plain text as a page, for the mailbox of development.
fn page(text: &str) -> String {
    let mut html = String::from("<!doctype html><meta charset=\"utf-8\"><p style=\"white-space:pre-wrap\">");
    text.chars().for_each(|c| push_escaped(c, &mut html));
    html + "</p>"
}

/// The value as a reader may see it: cleaned once more, because what is stored may be older than a rule.
fn shown(value: Option<&serde_json::Value>, kind: Kind) -> serde_json::Value {
    match value {
        Some(serde_json::Value::String(text)) if kind == Kind::Text => words::prose(text).into(),
        Some(serde_json::Value::String(text)) if kind == Kind::Label => words::name(text).into(),
        Some(serde_json::Value::String(text)) => words::line(text).into(),
        _ => serde_json::Value::Null,
    }
}

fn links(letter: &Letter<'_>) -> Vec<String> {
    let minted = letter.link.map(|link| link.url.to_owned());
    let given = letter.template.variables.iter().filter(|variable| variable.kind == Kind::Url);
    let given = given.filter_map(|variable| letter.data.get(variable.name)?.as_str().map(str::to_owned));
    minted.into_iter().chain(given).collect()
}

/// Writes a value; in HTML with the five characters escaped that can end a text or an attribute. The engine's own
/// escaping also turns slashes into entities, which makes links unreadable in the source.
fn write_value(
    out: &mut minijinja::Output<'_>,
    state: &minijinja::State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if !matches!(state.auto_escape(), AutoEscape::Html) || value.is_safe() {
        return minijinja::escape_formatter(out, state, value);
    }
    let mut escaped = String::new();
    value.to_string().chars().for_each(|c| push_escaped(c, &mut escaped));
    out.write_str(&escaped).map_err(minijinja::Error::from)
}

fn push_escaped(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}

/// A text as paragraphs of lines: an empty line parts two paragraphs.
fn paragraphs(ViaDeserialize(text): ViaDeserialize<String>) -> Value {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| paragraph.lines().map(Value::from).collect::<Value>()).collect()
}

/// A time as everybody reads it: `2026-01-31 09:30 UTC`. The reader's own time zone is not known here.
fn minute(time: Time) -> String {
    let text = time.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// A time span as a person says it, never more than it is: `{count, unit}` with unit minutes, hours or days.
fn lasting(span: Duration) -> Value {
    let minutes = span.as_secs().saturating_add(30) / 60;
    let (count, unit) = match minutes {
        0..60 => (minutes.max(1), "minutes"),
        60..2880 => (minutes / 60, "hours"),
        _ => (minutes / 1440, "days"),
    };
    context! { count, unit }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::locale::LOCALES;
    use super::super::template::{CATALOGUE, find};
    use super::*;

    const AT: Time = Time::MAX;
    const LINK: &str = "https://id.example.org/verify?a=1&b=2#token=abc/def";

    fn render(
        template: &str,
        locale: &'static str,
        name: Option<&str>,
        data: &serde_json::Value,
    ) -> Rendered {
        let template = find(template).unwrap();
        let link =
            template.has_minted_link().then_some(Link { url: LINK, lives: Duration::from_secs(86_399) });
        let letter = Letter {
            template,
            locale,
            display_name: name,
            data: data.as_object().unwrap(),
            link,
            happened_at: AT,
            unsubscribe: None,
        };
        Renderer::new("Doorward").unwrap().render(&letter).unwrap()
    }

    fn sample(template: &Template) -> serde_json::Value {
        let text = |kind| match kind {
            Kind::Line => "A line & more",
            Kind::Label => "reset",
            Kind::Text => "One\nTwo\n\nThree",
            Kind::Url => "https://example.org/news?a=1&b=2",
            Kind::Request => "019dc0de-0000-7000-8000-000000000000",
        };
        template
            .variables
            .iter()
            .map(|variable| (variable.name.to_owned(), json!(text(variable.kind))))
            .collect()
    }

    #[test]
    fn every_template_is_written_in_every_language() {
        for template in &CATALOGUE {
            for locale in LOCALES {
                let words = render(template.name, locale, Some("Ada"), &sample(template));
                let name = format!("{}_{locale}", template.name);
                assert!(
                    !words.subject.is_empty() && !words.text.contains(['<', '{']),
                    "{name}: {}",
                    words.text
                );
                assert!(
                    !words.text.contains("none") && !words.html.contains(">none<"),
                    "{name}: {}",
                    words.text
                );
                assert!(words.html.contains(&format!("<html lang=\"{locale}\"")), "{name}");
                assert!(words.html.contains("Ada") && words.text.contains("Ada"), "{name}");
                for part in [&words.text, &words.html] {
                    assert!(!part.contains("{{") && !part.contains("{%"), "{name}: {part}");
                    assert!(part.contains("Doorward"), "{name}");
                }
                insta::assert_snapshot!(
                    format!("{name}_txt"),
                    format!("Subject: {}\n\n{}", words.subject, words.text)
                );
            }
        }
    }

    #[test]
    fn every_language_uses_exactly_the_declared_variables() {
        let renderer = Renderer::new("Doorward").unwrap();
        for template in &CATALOGUE {
            let declared: BTreeSet<String> = template
                .variables
                .iter()
                .map(|variable| match variable.kind {
                    Kind::Request => "link".to_owned(),
                    _ => format!("data.{}", variable.name),
                })
                .collect();
            for locale in LOCALES {
                let mut used = BTreeSet::new();
                for file in ["subject.txt", "body.txt", "body.html"] {
                    let name = format!("{}/{locale}/{file}", template.name);
                    used.extend(renderer.templates.get_template(&name).unwrap().undeclared_variables(true));
                }
                let used: BTreeSet<String> = used
                    .into_iter()
                    .filter(|name| !["name", "product", "when"].contains(&name.as_str()))
                    .map(|name| if name.starts_with("link.") { "link".to_owned() } else { name })
                    .collect();
                assert_eq!(used, declared, "{} in {locale}", template.name);
            }
        }
    }

    #[test]
    fn a_variable_that_is_not_there_is_an_error_without_values() {
        let template = find("email_verification").unwrap();
        let data = json!({"request": "hush"});
        let letter = Letter {
            template,
            locale: "en",
            display_name: Some("Secret Name"),
            data: data.as_object().unwrap(),
            link: None,
            happened_at: AT,
            unsubscribe: None,
        };
        let error = Renderer::new("Doorward").unwrap().render(&letter).unwrap_err();
        let told = format!("{error} {error:?} {error:#}");
        assert!(!told.contains("Secret Name") && !told.contains("hush"), "{told}");
    }

    #[test]
    fn a_link_is_whole_in_every_part_and_easy_to_find() {
        let words = render("email_verification", "en", None, &json!({"request": "x"}));
        assert!(words.text.contains(LINK));
        assert!(words.html.contains(&format!("href=\"{}\"", LINK.replace('&', "&amp;"))), "{}", words.html);
        assert_eq!(words.links, [LINK]);
        assert!(words.text.contains("24 hours") && words.html.contains("24 hours"));
        assert!(!format!("{words:?}").contains("token"));
    }

    /// What attackers put into names and texts to reach into a message that somebody else gets.
    #[test]
    fn names_and_texts_are_data() {
        let corpus = [
            "<a href=//evil>Click</a>",
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "{{7*7}}",
            "{{ link.url }}",
            "{% include \"layout/layout.html\" %}",
            "${7*7}",
            "<%= 7*7 %>",
            "#{7*7}",
            "</main></body>",
            "&lt;b&gt;",
            "a\r\nBcc: victim@example.org",
            "http://evil.example/",
            "\u{1b}[31mred",
            "line\u{2028}Subject: x",
        ];
        let plain =
            render("announcement", "en", Some("name"), &json!({"subject": "subject", "text": "text"}));
        let tags = |html: &str| html.matches('<').count();
        for evil in corpus {
            let words = render("announcement", "en", Some(evil), &json!({"subject": evil, "text": evil}));
            let breaks = words.html.matches("<br>").count();
            assert_eq!(tags(&words.html) - breaks, tags(&plain.html), "{evil:?}: {}", words.html);
            assert!(!words.html.contains(">49<") && !words.text.contains("49"), "{evil:?}");
            assert!(!words.subject.chars().any(char::is_control), "{evil:?}: {}", words.subject);
            assert!(
                !words.subject.contains("//") && !words.subject.contains("evil.example"),
                "{}",
                words.subject
            );
            let greeting = words.text.lines().next().unwrap();
            assert!(!greeting.contains("//") && !greeting.contains("evil.example"), "{greeting}");
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!words.text.chars().any(control) && !words.html.chars().any(control), "{evil:?}");
        }
    }

    #[test]
    fn a_text_keeps_its_paragraphs_and_lines() {
        let data = json!({"subject": "s", "text": "One <1>\r\nTwo\r\n\r\nThree", "link": "https://example.org/?a=1&b='2"});
        let words = render("announcement", "de", None, &data);
        assert!(words.text.contains("One <1>\nTwo\n\nThree"), "{}", words.text);
        assert!(words.html.contains("<p>One &lt;1&gt;<br>Two</p>\n<p>Three</p>"), "{}", words.html);
        assert!(words.html.contains("href=\"https://example.org/?a=1&amp;b=&#39;2\""), "{}", words.html);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for template in &CATALOGUE {
            let html = render(template.name, "en", None, &sample(template)).html;
            for loads in ["src=", "url(", "@import", "<link", "<img", "<script", "<iframe", "<form"] {
                assert!(!html.contains(loads), "{} holds {loads}", template.name);
            }
        }
    }

    #[test]
    fn a_time_span_is_never_told_longer_than_it_is() {
        let cases = [
            (0, "1 minutes"),
            (59, "1 minutes"),
            (600, "10 minutes"),
            (3_599, "1 hours"),
            (5_400, "1 hours"),
            (86_399, "24 hours"),
            (172_800, "2 days"),
            (604_799, "7 days"),
        ];
        for (seconds, expected) in cases {
            let told = lasting(Duration::from_secs(seconds));
            let told = format!("{} {}", told.get_attr("count").unwrap(), told.get_attr("unit").unwrap());
            assert_eq!(told, expected, "{seconds}");
        }
    }
}
