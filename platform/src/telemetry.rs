//! Logs: how they look, where they go, and that one event is one line whatever is in it.
//!
//! Left out: exporting traces; and what may be logged, which is each caller's care: never an address, a token or a
//! password.

use std::io::{self, Write};
use std::panic::PanicHookInfo;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// What is logged: levels by target, such as `info,auth=debug`.
    pub filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info".to_owned() }
    }
}

impl Settings {
    /// Everything that is wrong, a sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let wrong = self.parsed().err();
        wrong.map(|error| format!("log.filter can't be read: {error}.")).into_iter().collect()
    }

    fn parsed(&self) -> Result<EnvFilter, ParseError> {
        EnvFilter::builder().parse(format!("{QUIET},{}", self.filter))
    }
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter can't be read.
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] ParseError),
    /// Something in this process logs already.
    #[error("logging was started before")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// The web server calls it an error when somebody sends what is no HTTP. It is theirs, they are answered 400, and who
/// reads the log is not to be woken for it. The client of RabbitMQ writes whole messages into the log when they are
/// returned, and calls an end of a connection an error that is told by whoever makes the next one. Threads of the web server
/// that begin and end are nobody's news.
const QUIET: &str = "actix_http::h1::dispatcher=off,actix_server=warn,lapin=off";

/// Starts logging to standard error, and makes panics log lines.
///
/// # Errors
/// When the filter can't be read, or logging was started before.
pub fn init(settings: &Settings) -> Result<(), Error> {
    let filter = settings.parsed()?;
    Registry::default().with(layer(settings.format, OneLine(io::stderr)).with_filter(filter)).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn layer<W>(format: Format, writer: OneLine<W>) -> Boxed
where
    OneLine<W>: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        Format::Text => layer.boxed(),
        Format::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    }
}

/// Tells where a panic happened. The message only when it is a literal: a formatted one may hold anything.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown)");
    tracing::error!(place, message, "A panic at {place}.");
}

/// Makes one line of whatever an event holds: every control character but the final line feed is written as its
/// escape. Else a name with a line break in it could forge a line, and a terminal could be told what to do.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }
}

struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    /// An event arrives in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = match event.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (event, ""),
        };
        // Nearly every line; looking at characters one by one costs as much as writing it.
        if line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let text = String::from_utf8_lossy(line);
        let mut out = String::with_capacity(event.len());
        for character in text.chars() {
            match character {
                '\n' => out.push_str("\\n"),
                // As JSON escapes: they stay readable there, and all of these have four digits.
                unsafe_one if is_unsafe(unsafe_one) => {
                    out.push_str(&format!("\\u{:04x}", u32::from(unsafe_one)));
                }
                plain => out.push(plain),
            }
        }
        out.push_str(end);
        self.0.write_all(out.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters, the two other line ends of Unicode, and what turns the direction of the text around.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let subscriber = Registry::default().with(layer(format, OneLine(move || sink.clone())));
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    const FORGED: &str = "mallory\n{\"level\":\"INFO\"}\r\u{1b}[2Jclean\u{9b}31m\u{2028}\u{202e}end";

    #[test]
    fn a_field_can_forge_neither_a_line_nor_a_colour() {
        for format in [Format::Text, Format::Json] {
            let text = logged(format, || {
                let span = tracing::info_span!("request", agent = FORGED);
                span.in_scope(|| tracing::info!(name = FORGED, shown = %FORGED, "Hello {FORGED}"));
            });
            assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{format:?}: {text:?}");
            let body = text.trim_end_matches('\n');
            assert!(!body.chars().any(is_unsafe), "{format:?}: {text:?}");
            assert!(body.contains("mallory"), "{format:?}: {text:?}");
        }
    }

    #[test]
    fn a_json_line_is_json() {
        let text = logged(Format::Json, || tracing::info!(user.id = 7, agent = FORGED, "Read {FORGED}"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["user.id"], 7);
        assert!(line["message"].as_str().unwrap().starts_with("Read mallory"));
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_told() {
        let with = |filter: &str| Settings { filter: filter.to_owned(), ..Settings::default() }.problems();
        assert_eq!(with("info,platform=debug"), Vec::<String>::new());
        assert!(with("info,platform=loud").join("").starts_with("log.filter can't be read"));
    }
}
