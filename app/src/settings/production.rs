//! What is asked of settings outside of development: that whatever only an operator knows was said, and that no sample was
//! left standing. A start that made something up instead would look well, on an empty database or with mails that nobody
//! gets.

use serde_json::Value;
use url::{Host, Url};

use super::{Settings, parse_public_url};

/// Settings whose samples look like something true.
const SAMPLES: [&str; 2] = ["/smtp/url", "/smtp/fallback_url"];

/// The names of settings that hold a sample, among all of them as they were written.
pub(super) fn samples(values: &Value) -> Vec<String> {
    let is_left = |pointer: &&str| values.pointer(pointer).and_then(Value::as_str).is_some_and(is_sample);
    let names = SAMPLES.into_iter().filter(is_left);
    names.map(|pointer| pointer.trim_start_matches('/').replace('/', ".")).collect()
}

/// Whether a url is one that documents show: with a host that never exists (RFC 2606 section 3), or with words in the place
/// of a user and a password.
fn is_sample(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default().to_lowercase();
        let domain = ["example.com", "example.net", "example.org"].iter().any(|sample| {
            host.strip_suffix(sample).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        domain || url.username() == "USER" || url.password() == Some("PASSWORD")
    })
}

/// Everything that is wrong, a sentence each.
pub(super) fn problems(settings: &Settings, sends_mail: bool) -> Vec<String> {
    let mut problems = Vec::new();
    if settings.public_url.is_empty() {
        problems.push(
            "public_url is not set: set it to the address where people reach Doorward, such as \
             https://id.example.org."
                .to_owned(),
        );
    } else if parse_public_url(&settings.public_url).is_some_and(|url| !is_safe(&url)) {
        problems.push(
            "public_url must begin with https://: passwords and the secrets in links would travel in the clear. Only \
             an address of this machine may be http://."
                .to_owned(),
        );
    }
    if settings.secrets.master_key.expose().is_empty() {
        problems.push(
            "secrets.master_key is not set: set it to 32 random bytes in base64, the same for every replica \
             (`openssl rand -base64 32`)."
                .to_owned(),
        );
    }
    if sends_mail {
        let sample = |name: &String| format!("{name} is still a sample: set it to your own mail server.");
        problems.extend(settings.samples.iter().map(sample));
    }
    problems
}

/// Whether nobody listens on the way.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_known_by_its_host_or_by_its_words() {
        for sample in [
            "smtps://USER:PASSWORD@mail.example.org",
            "smtp://doorward:word@example.com",
            "smtp://doorward:word@a.b.EXAMPLE.net:587",
            "smtps://USER:word@mail.internal",
            "smtps://doorward:PASSWORD@mail.internal",
        ] {
            assert!(is_sample(sample), "{sample}");
        }
        for good in
            ["", "smtps://doorward:word@mail.internal", "smtp://127.0.0.1:25", "smtps://u:w@myexample.org"]
        {
            assert!(!is_sample(good), "{good}");
        }
    }

    #[test]
    fn only_this_machine_is_reached_in_the_clear() {
        let safe = |text: &str| is_safe(&Url::parse(text).unwrap());
        for good in ["https://id.example.org", "http://localhost:8080", "http://127.0.0.2", "http://[::1]:1"]
        {
            assert!(safe(good), "{good}");
        }
        for bad in ["http://id.example.org", "http://10.0.0.1", "http://localhost.example.org"] {
            assert!(!safe(bad), "{bad}");
        }
    }
}
