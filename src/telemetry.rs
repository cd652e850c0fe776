//! Logs: structured lines on standard error. No token and no payload is ever logged.
//!
//! Uses: config.

use std::fmt::Write as _;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

/// Starts logging as the settings say, once per process; later calls change nothing.
pub fn init(settings: &Settings) {
    let filter = EnvFilter::new(directives(&settings.log));
    let writer = || OneLine(io::stderr());
    let _ = match settings.log_format {
        LogFormat::Text => text(filter, writer).try_init(),
        LogFormat::Json => json(filter, writer).try_init(),
    };
}

/// What the NATS client says of each attempt to connect is left out of the default: what matters of it
/// is said by the backbone.
fn directives(log: &str) -> String {
    match log {
        "info" => "info,async_nats=warn".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a reader's screen may show what follows in another order or on another line.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes each event, which tracing hands over in one piece, as one line in which no control
/// character is left: text from a client must neither forge a line nor steer a terminal. Tracing
/// does this for some kinds of fields only.
struct OneLine<W>(W);

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len() + 1);
        for c in text.trim_end_matches('\n').chars() {
            match c {
                '\n' => line.push_str("\\n"),
                // This form of an escape is also right inside a JSON string.
                c if c.is_control() || reorders(c) => {
                    let _ = write!(line, "\\u{:04x}", u32::from(c));
                }
                c => line.push(c),
            }
        }
        line.push('\n');
        // When nobody reads the log any more the gateway goes on; tracing would panic on stderr.
        let _ = self.0.write_all(line.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Lines for people. No colours: a log is read in files as often as in a terminal.
fn text<W>(filter: EnvFilter, writer: W) -> impl SubscriberInitExt
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(writer)
        .finish()
}

/// One object a line, its fields at the top level.
fn json<W>(filter: EnvFilter, writer: W) -> impl SubscriberInitExt
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn the_default_leaves_the_nats_client_out_and_no_other_filter_is_touched() {
        assert_eq!(directives("info"), "info,async_nats=warn");
        for filter in ["debug", "off", "info,async_nats=info"] {
            assert_eq!(directives(filter), filter);
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when a client's text with control characters is logged in every way.
    fn logged(subscriber: impl FnOnce(Lines) -> tracing::subscriber::DefaultGuard) -> String {
        let lines = Lines::default();
        let guard = subscriber(lines.clone());
        let topic = "a\nFAKE line\x1b[2J\u{9b}1m\u{202e}gnp\u{2066}\u{2028}";
        tracing::info!(topic, "refused");
        tracing::info!(%topic, "refused");
        tracing::info!("refused {topic}");
        tracing::debug!("not asked for");
        drop(guard);
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn check(out: &str) {
        assert_eq!(out.lines().count(), 3, "{out:?}");
        assert!(!out.replace('\n', "").contains(char::is_control), "{out:?}");
        assert!(!out.contains(reorders), "{out:?}");
    }

    #[test]
    fn control_characters_do_not_reach_a_text_log() {
        check(&logged(|lines| {
            text(EnvFilter::new("info"), move || OneLine(lines.clone())).set_default()
        }));
    }

    #[test]
    fn control_characters_do_not_reach_a_json_log() {
        let out = logged(|lines| {
            json(EnvFilter::new("info"), move || OneLine(lines.clone())).set_default()
        });
        check(&out);
        let first: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        assert_eq!(first["message"], "refused");
    }
}
