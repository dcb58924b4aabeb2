//! The catalogue of messages: which templates there are, which variables each one takes, and the check that a given
//! set of variables fits.
//!
//! The words themselves are files under `templates/`, embedded by `render.rs`. Editing templates at run time is left
//! out: what is sent is what was reviewed and tested.

use contracts::Fields;
use serde_json::{Map, Value};
use url::Url;

use super::category::SECURITY;
use super::{Medium, words};

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line, at most 200 characters.
    Line,
    /// One line in which nothing looks like an address to click, at most 100 characters: what a stranger may have written.
    Label,
    /// Several paragraphs, at most 20 000 characters.
    Text,
    /// An absolute http or https address, at most 2 000 characters.
    Url,
    /// The id of a one-time request of auth: never shown, exchanged for a link when the message is sent.
    Request,
}

/// One variable of a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

const fn required(name: &'static str, kind: Kind) -> Variable {
    Variable { name, kind, required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Variable {
    Variable { name, kind, required: false }
}

/// One kind of message.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// What it belongs to when the sender doesn't say.
    pub(crate) category: &'static str,
    /// Whether anybody with `notifications:send` may use it; the others are for the modules of Doorward, because
    /// their words promise that something happened here.
    pub(crate) open: bool,
    pub(crate) variables: &'static [Variable],
    /// Over which channels it goes when the sender doesn't say. To a bare address it goes over that alone.
    pub(crate) media: &'static [Medium],
    /// Whether it has a short form (`notice.txt`), for short messages and inboxes.
    pub(crate) notice: bool,
}

/// The name of the variable that is exchanged for a link.
pub(crate) const REQUEST: &str = "request";

/// A message of Doorward itself about the security of an account.
const fn security(name: &'static str, variables: &'static [Variable]) -> Template {
    Template { name, category: SECURITY, open: false, variables, media: &[Medium::Email], notice: false }
}

/// The same, told in the inbox too.
const fn noticed(name: &'static str, variables: &'static [Variable]) -> Template {
    Template { media: &[Medium::Email, Medium::Inbox], notice: true, ..security(name, variables) }
}

/// Every template.
pub(crate) static CATALOGUE: [Template; 9] = [
    security("email_verification", &[required(REQUEST, Kind::Request)]),
    security("registration_repeated", &[]),
    noticed("session_ended", &[]),
    security("password_reset", &[required(REQUEST, Kind::Request)]),
    noticed("password_changed", &[required("how", Kind::Label)]),
    security("invitation", &[required(REQUEST, Kind::Request)]),
    security(
        "sign_in_noticed",
        &[
            required(REQUEST, Kind::Request),
            required("at", Kind::Label),
            optional("device", Kind::Label),
            optional("address", Kind::Label),
        ],
    ),
    security("email_changed", &[]),
    Template {
        name: "announcement",
        category: "general",
        open: true,
        variables: &[
            required("subject", Kind::Line),
            required("text", Kind::Text),
            optional("link", Kind::Url),
        ],
        media: &[Medium::Email, Medium::Inbox],
        notice: true,
    },
];

/// The template of that name.
pub(crate) fn find(name: &str) -> Option<&'static Template> {
    CATALOGUE.iter().find(|template| template.name == name)
}

/// Whether a message is Doorward's own word about somebody's security, which nobody else's messages hold up.
pub(crate) fn is_own(name: &str, category: &str) -> bool {
    category == SECURITY && find(name).is_some_and(|template| !template.open)
}

impl Template {
    /// The variables as they are kept: checked, and without characters that no reader should meet. Every rule that
    /// is broken is noted, below `/data`.
    pub(crate) fn check(&self, data: &Map<String, Value>, fields: &mut Fields) -> Map<String, Value> {
        for name in data.keys().filter(|name| !self.variables.iter().any(|known| known.name == name.as_str()))
        {
            fields.broken(
                pointer(name),
                "unknown_variable",
                format!("The template {} has no such variable.", self.name),
            );
        }
        let mut kept = Map::new();
        for variable in self.variables {
            match data.get(variable.name) {
                None | Some(Value::Null) if !variable.required => {}
                None => fields.broken(
                    pointer(variable.name),
                    "missing_variable",
                    format!("The template {} needs this variable.", self.name),
                ),
                Some(value) => {
                    if let Some(text) = fields.take(&pointer(variable.name), variable.kind.check(value)) {
                        kept.insert(variable.name.to_owned(), Value::String(text));
                    }
                }
            }
        }
        kept
    }

    /// Whether it can take this way.
    pub(crate) fn fits(&self, medium: Medium) -> bool {
        medium == Medium::Email || self.notice
    }

    /// Whether it carries a link that auth mints at the moment of sending.
    pub(crate) fn has_minted_link(&self) -> bool {
        self.variables.iter().any(|variable| variable.kind == Kind::Request)
    }
}

type Broken = (&'static str, std::borrow::Cow<'static, str>);

impl Kind {
    fn check(self, value: &Value) -> Result<String, Broken> {
        let text = value.as_str().ok_or_else(|| ("wrong_kind", "Must be a string.".into()))?;
        match self {
            Self::Line => filled(words::line(text), 200),
            Self::Label => filled(words::name(text).unwrap_or_default(), 100),
            Self::Text => filled(words::prose(text), 20_000),
            Self::Url => address(text),
            Self::Request => match text.parse::<contracts::OneTimeRequestId>() {
                Ok(id) => Ok(id.to_string()),
                Err(_) => Err(("wrong_kind", "Must be the id of a request.".into())),
            },
        }
    }
}

fn filled(text: String, most: usize) -> Result<String, Broken> {
    if text.is_empty() {
        return Err(("too_short", "Must hold some text.".into()));
    }
    if text.chars().count() > most {
        return Err(("too_long", format!("Must have at most {most} characters.").into()));
    }
    Ok(text)
}

/// The address as the URL standard writes it: no spaces, no control characters, host in ASCII; without a name and
/// password, which readers take for the host.
fn address(text: &str) -> Result<String, Broken> {
    let wrong = || ("malformed_url", "Must be an absolute http or https address.".into());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(wrong());
    }
    filled(url.to_string(), 2_000)
}

/// RFC 6901 section 3.
fn pointer(name: &str) -> String {
    format!("/data/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn broken(template: &str, data: &Value) -> Vec<(String, String)> {
        let mut fields = Fields::default();
        find(template).unwrap().check(data.as_object().unwrap(), &mut fields);
        let Err(error) = fields.finish() else { return Vec::new() };
        error.fields.into_iter().map(|field| (field.pointer, field.code.into_owned())).collect()
    }

    #[test]
    fn a_variable_that_is_missing_unknown_or_of_the_wrong_kind_is_told() {
        let cases = [
            (json!({"subject": "a", "text": "b"}), vec![]),
            (json!({"subject": "a", "text": "b", "link": null}), vec![]),
            (json!({"subject": "a"}), vec![("/data/text", "missing_variable")]),
            (json!({"subject": null, "text": "b"}), vec![("/data/subject", "wrong_kind")]),
            (
                json!({"subject": 7, "text": ["b"]}),
                vec![("/data/subject", "wrong_kind"), ("/data/text", "wrong_kind")],
            ),
            (json!({"subject": " \r\n", "text": "b"}), vec![("/data/subject", "too_short")]),
            (json!({"subject": "a".repeat(201), "text": "b"}), vec![("/data/subject", "too_long")]),
            (json!({"subject": "a", "text": "b", "x/~y": 1}), vec![("/data/x~1~0y", "unknown_variable")]),
        ];
        for (data, expected) in cases {
            let told = broken("announcement", &data);
            let told: Vec<_> = told.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect();
            assert_eq!(told, expected, "{data}");
        }
        let id = contracts::OneTimeRequestId::new().to_string();
        assert_eq!(broken("email_verification", &json!({"request": id})), vec![]);
        assert_eq!(broken("email_verification", &json!({"request": "x"})).len(), 1);
    }

    #[test]
    fn only_web_addresses_become_links() {
        let bad = [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/path",
            "example.org",
            "mailto:a@b.org",
            "ftp://a.example",
            "https://",
            "https://user:pw@host.example",
            "https://bank.example@evil.example",
            "java\nscript:alert(1)",
            "vbscript:x",
            "file:///etc/passwd",
        ];
        for link in bad {
            let told = broken("announcement", &json!({"subject": "a", "text": "b", "link": link}));
            assert_eq!(told, vec![("/data/link".to_owned(), "malformed_url".to_owned())], "{link}");
        }
        let mut fields = Fields::default();
        let data = json!({"subject": "a", "text": "b", "link": "https://example.org/\"><script>\r\nX"});
        let kept = find("announcement").unwrap().check(data.as_object().unwrap(), &mut fields);
        assert_eq!(kept["link"], "https://example.org/%22%3E%3Cscript%3EX");
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|template| template.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
