//! Short messages: who takes them, where they may go, and how long they may be.
//!
//! Two providers at most, asked in order. One speaks Twilio's interface, or any that takes one POST a message: the
//! names of its fields are settings. The operator chooses the address, so it may be inside a private network; without
//! TLS only on this machine.

use platform::settings::Secret;
use serde::Deserialize;
use url::Url;

use super::smtp::is_this_machine;

/// Short messages: section `notifications.sms`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// How many parts a message may have, 1 to 10.
    pub max_segments: u32,
    /// The calling codes that messages may go to, such as `43`. Empty: all.
    pub countries: Vec<String>,
    /// Whether messages go to numbers that people wrote into their profiles and nobody has proven.
    pub unproven_numbers: bool,
    /// Who is asked first.
    pub primary: SmsProvider,
    /// Who is asked when the first one does not take a message.
    pub fallback: SmsProvider,
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            max_segments: 4,
            countries: Vec::new(),
            unproven_numbers: false,
            primary: SmsProvider::default(),
            fallback: SmsProvider::default(),
        }
    }
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    None,
    /// One POST a message, with the fields that the settings name.
    #[serde(rename = "http")]
    Http,
    /// The interface of Twilio (2010-04-01), which others copy.
    #[serde(rename = "twilio")]
    Twilio,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// One provider: sections `notifications.sms.primary` and `notifications.sms.fallback`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsProvider {
    /// `http`, `twilio`, or empty for none.
    pub kind: Kind,
    /// Where messages are posted. For `twilio` the beginning of it; empty means `https://api.twilio.com`.
    pub url: String,
    /// The sender: a number or a name, as the provider allows.
    pub from: String,
    /// Twilio's account SID.
    pub account: String,
    /// Twilio's auth token, or what `header` holds.
    pub token: HiddenText,
    /// The header in which `http` sends the token, such as `authorization` (write `Bearer …` into the token).
    pub header: String,
    /// How `http` writes the body.
    pub format: Format,
    /// The names of the fields of `http`: the number, the sender, the text, and our id of the message.
    pub to_field: String,
    /// See `to_field`.
    pub from_field: String,
    /// See `to_field`.
    pub text_field: String,
    /// See `to_field`.
    pub reference_field: String,
    /// The field of the answer of `http` that holds the provider's id of the message.
    pub id_field: String,
    /// What `http` signs its receipts with (HMAC-SHA256), at least 16 characters. Empty: receipts are not taken.
    pub receipt_secret: HiddenText,
    /// What a part costs, in millionths of whatever you count in; for the metrics.
    pub segment_cost_micros: u64,
}

impl Default for SmsProvider {
    fn default() -> Self {
        Self {
            kind: Kind::None,
            url: String::new(),
            from: String::new(),
            account: String::new(),
            token: HiddenText::default(),
            header: "authorization".to_owned(),
            format: Format::Json,
            to_field: "to".to_owned(),
            from_field: "from".to_owned(),
            text_field: "text".to_owned(),
            reference_field: "reference".to_owned(),
            id_field: "id".to_owned(),
            receipt_secret: HiddenText::default(),
            segment_cost_micros: 0,
        }
    }
}

/// A secret text that can be compared, so that settings can be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct HiddenText(Secret<String>);

impl HiddenText {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<&str> for HiddenText {
    fn from(text: &str) -> Self {
        Self(Secret::new(text.to_owned()))
    }
}

impl PartialEq for HiddenText {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for HiddenText {}

impl Sms {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(1..=10).contains(&self.max_segments) {
            problems.push("notifications.sms.max_segments must be from 1 to 10.".to_owned());
        }
        let code =
            |code: &String| (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
        if !self.countries.iter().all(code) {
            problems.push("notifications.sms.countries must be calling codes such as \"43\".".to_owned());
        }
        if self.primary.kind == Kind::None && self.fallback.kind != Kind::None {
            problems.push("notifications.sms.fallback is set without notifications.sms.primary.".to_owned());
        }
        for (name, provider) in [("primary", &self.primary), ("fallback", &self.fallback)] {
            let sentence = |rest| format!("notifications.sms.{name}{rest}");
            problems.extend(provider.problems().into_iter().map(sentence));
        }
        problems
    }
}

const WRONG_URL: &str =
    ".url must be https://…, or http:// on this machine, without user, password and fragment.";

impl SmsProvider {
    fn problems(&self) -> Vec<&'static str> {
        if self.kind == Kind::None {
            return Vec::new();
        }
        let mut problems = Vec::new();
        problems.extend(self.address().err());
        if self.from.is_empty() || self.from.chars().any(char::is_control) {
            problems.push(".from must be the sender of short messages.");
        }
        let word = |text: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (1..=64).contains(&text.len()) && text.chars().all(good)
        };
        if self.token.expose().is_empty()
            || !self.token.expose().chars().all(|c| c.is_ascii_graphic() || c == ' ')
        {
            problems.push(".token must be the provider's secret, without line breaks.");
        }
        if self.kind == Kind::Twilio && !word(&self.account) {
            problems.push(".account must be the account's SID.");
        }
        if self.kind == Kind::Http {
            let names =
                [&self.header, &self.to_field, &self.from_field, &self.text_field, &self.reference_field];
            if !names.into_iter().chain([&self.id_field]).all(|name| word(name)) {
                problems.push(
                    ": header and the names of fields must be words of letters, digits, `_`, `-` and `.`.",
                );
            }
            let secret = self.receipt_secret.expose();
            if !secret.is_empty() && secret.len() < 16 {
                problems.push(".receipt_secret must have at least 16 characters.");
            }
        }
        problems
    }

    /// Where messages are posted.
    pub(crate) fn address(&self) -> Result<Url, &'static str> {
        let text = match (self.kind, self.url.as_str()) {
            (Kind::Twilio, "") => "https://api.twilio.com",
            (_, url) => url,
        };
        let url = Url::parse(text).map_err(|_| WRONG_URL)?;
        let host = url.host_str().unwrap_or_default();
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(host));
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !safe || !plain || host.is_empty() {
            return Err(WRONG_URL);
        }
        if self.kind == Kind::Http {
            return Ok(url);
        }
        let path = format!(
            "{}/2010-04-01/Accounts/{}/Messages.json",
            url.path().trim_end_matches('/'),
            self.account
        );
        url.join(&path).map_err(|_| WRONG_URL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(kind: Kind, url: &str) -> SmsProvider {
        SmsProvider {
            kind,
            url: url.to_owned(),
            from: "Doorward".to_owned(),
            account: "AC1".to_owned(),
            token: "hush".into(),
            ..SmsProvider::default()
        }
    }

    #[test]
    fn an_address_without_tls_is_on_this_machine() {
        for good in
            ["https://sms.example/send", "http://127.0.0.1:8000/", "http://localhost/x", "https://10.0.0.7/"]
        {
            assert_eq!(provider(Kind::Http, good).problems(), Vec::<&str>::new(), "{good}");
        }
        for bad in [
            "",
            "sms.example",
            "http://sms.example/",
            "https://u:p@sms.example/",
            "ftp://127.0.0.1/",
            "https://x/#a",
        ] {
            assert_eq!(provider(Kind::Http, bad).problems(), [WRONG_URL], "{bad}");
        }
    }

    #[test]
    fn twilio_has_its_own_address() {
        let of = |url| provider(Kind::Twilio, url).address().map(|url| url.to_string());
        assert_eq!(of(""), Ok("https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json".to_owned()));
        assert_eq!(
            of("http://127.0.0.1:9/x/"),
            Ok("http://127.0.0.1:9/x/2010-04-01/Accounts/AC1/Messages.json".to_owned())
        );
        let wrong =
            SmsProvider { account: "../x".to_owned(), token: "".into(), ..provider(Kind::Twilio, "") };
        assert_eq!(wrong.problems().len(), 2);
    }

    #[test]
    fn a_token_is_never_printed() {
        let text = format!("{:?}", provider(Kind::Http, "https://sms.example"));
        assert!(!text.contains("hush"), "{text}");
    }

    #[test]
    fn what_would_not_work_is_told() {
        let wrong = Sms {
            max_segments: 0,
            countries: vec!["+43".to_owned()],
            fallback: SmsProvider {
                receipt_secret: "short".into(),
                to_field: "a b".to_owned(),
                ..provider(Kind::Http, "https://a.example")
            },
            ..Sms::default()
        };
        assert_eq!(wrong.problems().len(), 5, "{:?}", wrong.problems());
    }
}
