//! Values as they were written, with the place each came from, and how they are read.
//!
//! Uses: protocol.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::AllowedOrigins;
use super::units::{format_duration, format_size, parse_duration, parse_size};
use crate::protocol::reference::SETTINGS;
use crate::slo::Share;

/// The settings that hold several values; in a file they may be a list.
const LISTS: [&str; 2] = ["nats-url", "allowed-origins"];

/// Setting names with their values as text; the first that gives a name wins.
#[derive(Default)]
pub struct RawSettings {
    given: BTreeMap<&'static str, Given>,
    key_file: Option<Result<String, String>>,
}

pub(super) struct Given {
    pub(super) text: String,
    /// How the reader of a problem finds it: `--addr`, `MICRO_SOCKET_ADDR`, `addr in gateway.toml`.
    pub(super) place: String,
}

impl RawSettings {
    /// Adds a value unless an earlier place has given one.
    pub fn add(&mut self, name: &'static str, text: String, place: String) {
        self.given.entry(name).or_insert(Given { text, place });
    }

    /// Reads the file that `jwt-public-key` names, once all places have been added.
    pub fn read_key_file(&mut self, read: &dyn Fn(&Path) -> io::Result<String>) {
        let file = self.given.get("jwt-public-key");
        self.key_file = file.map(|given| {
            let content = read(Path::new(given.text.trim()));
            content.map_err(|error| error.to_string())
        });
    }

    /// Adds the values of a TOML file.
    ///
    /// # Errors
    /// One line for each key that is unknown or whose value is of a wrong kind, or for a file that
    /// is not TOML.
    pub fn add_file(&mut self, file: &str, content: &str) -> Result<(), Vec<String>> {
        let table: toml::Table = content
            .parse()
            .map_err(|error| vec![not_toml(file, content, &error)])?;
        let mut problems = Vec::new();
        for (key, value) in table {
            let known = SETTINGS.iter().find(|setting| setting.name == key);
            match (known, text_of(&key, &value)) {
                (None, _) => problems.push(format!(
                    "{file}: unknown key {key:?}; micro-socket --help lists the settings"
                )),
                (Some(setting), _) if setting.name == "config" => problems.push(format!(
                    "{file}: config cannot be set in the file itself; use --config or MICRO_SOCKET_CONFIG"
                )),
                (Some(_), None) => problems.push(format!(
                    "{file}: {key} must be a string, a number, true or false, not {}",
                    value.type_str()
                )),
                (Some(setting), Some(text)) => {
                    self.add(setting.name, text, format!("{key} in {file}"));
                }
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

/// Where a file is not TOML, and why. The line itself may hold a secret, and is not repeated.
fn not_toml(file: &str, content: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| content.get(..span.start));
    let line = before.map_or(1, |before| 1 + before.matches('\n').count());
    format!("{file}: line {line} is not TOML: {}", error.message())
}

fn text_of(key: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(items) if LISTS.contains(&key) => items
            .iter()
            .map(toml::Value::as_str)
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(",")),
        _ => None,
    }
}

/// Reads typed values and collects the problems, so that all of them are told at once.
pub(super) struct Reader<'a> {
    raw: &'a RawSettings,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a RawSettings) -> Self {
        Self {
            raw,
            problems: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Result<(), Vec<String>> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems)
        }
    }

    /// What was given for a setting, if anything was.
    pub(super) fn given(&self, name: &str) -> Option<&'a Given> {
        self.raw.given.get(name)
    }

    /// The content of the file that `jwt-public-key` names.
    pub(super) fn key_file(&self) -> Result<String, String> {
        let missing = || Err("it was not read".to_owned());
        self.raw.key_file.clone().unwrap_or_else(missing)
    }

    /// Tells a problem that is not one of a single value.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The value that `parse` makes of what was given. After a problem the result is never used,
    /// so `fallback` serves for that as well.
    pub(super) fn value<T>(
        &mut self,
        name: &str,
        fallback: impl FnOnce() -> T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(given) = self.given(name) else {
            return fallback();
        };
        parse(given.text.trim()).unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", given.place));
            fallback()
        })
    }

    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)], default: T) -> T {
        self.value(
            name,
            || default,
            |text| {
                let found = words.iter().find(|(word, _)| *word == text);
                found.map(|(_, value)| *value).ok_or_else(|| {
                    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                    format!("{text:?} is not one of: {}", known.join(", "))
                })
            },
        )
    }

    pub(super) fn switch(&mut self, name: &str, default: bool) -> bool {
        let words = [
            ("true", true),
            ("false", false),
            ("on", true),
            ("off", false),
        ];
        self.word(name, &words, default)
    }

    /// The feed is a part of the demo: without the rest of it, somebody has mistaken a setting.
    pub(super) fn demo_feed(&mut self, demo_endpoints: bool) -> bool {
        let wanted = self.switch("demo-feed", false);
        if wanted && !demo_endpoints {
            self.problem(
                "demo-feed publishes to topics by itself and is for trying out: set demo-endpoints true too, or leave it off"
                    .to_owned(),
            );
        }
        wanted
    }

    pub(super) fn count<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        name: &str,
        default: T,
        least: T,
    ) -> T {
        self.value(
            name,
            || default,
            |text| match text.parse() {
                Ok(number) if number < least => Err(format!("{number} is below {least}")),
                Ok(number) => Ok(number),
                Err(_) => Err(format!("{text:?} is not a whole number")),
            },
        )
    }

    pub(super) fn size(
        &mut self,
        name: &str,
        default: &str,
        range: RangeInclusive<usize>,
    ) -> usize {
        self.value(
            name,
            || parse_size(default).unwrap_or_else(|_| *range.start()),
            |text| within(parse_size(text)?, &range, format_size),
        )
    }

    pub(super) fn duration(
        &mut self,
        name: &str,
        default: &str,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.value(
            name,
            || parse_duration(default).unwrap_or_else(|_| *range.start()),
            |text| within(parse_duration(text)?, &range, format_duration),
        )
    }

    /// `always`, which is `None`, or an interval.
    pub(super) fn fsync(
        &mut self,
        name: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.value(
            name,
            || None,
            |text| match text {
                "always" => Ok(None),
                text => {
                    let interval = parse_duration(text).map_err(|_| {
                        format!("{text:?} is neither always nor an interval such as 100ms")
                    })?;
                    within(interval, &range, format_duration).map(Some)
                }
            },
        )
    }

    /// A directory that is there or can be made.
    pub(super) fn dir(&mut self, name: &str, default: &str) -> PathBuf {
        self.value(
            name,
            || default.into(),
            |text| match text {
                "" => Err("the directory has no name".to_owned()),
                text => Ok(text.into()),
            },
        )
    }

    pub(super) fn share(&mut self, name: &str, default: Share) -> Share {
        self.value(name, || default, str::parse)
    }

    pub(super) fn origins(&mut self, name: &str) -> AllowedOrigins {
        self.value(name, AllowedOrigins::same_host, AllowedOrigins::parse)
    }

    /// An address; `default` is one too, but comes from outside as well.
    pub(super) fn addr(&mut self, name: &str, default: &str) -> SocketAddr {
        let fallback =
            parse_addr(default).unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)));
        self.value(name, || fallback, parse_addr)
    }

    /// An address that need not be given.
    pub(super) fn own_addr(&mut self, name: &str) -> Option<SocketAddr> {
        self.value(name, || None, |text| parse_addr(text).map(Some))
    }

    /// A tracing filter. A bare word must be a level: tracing would take a misspelt one for the
    /// name of a target and then log nothing.
    pub(super) fn filter(&mut self, name: &str, default: &str) -> String {
        self.value(
            name,
            || default.to_owned(),
            |text| {
                let bare = |part: &&str| {
                    !part.contains(['=', '[']) && part.trim().parse::<LevelFilter>().is_err()
                };
                match text.split(',').find(bare) {
                    Some(part) => Err(format!(
                        "{part:?} is not a level (off, error, warn, info, debug, trace); a part of the program is written name=level"
                    )),
                    None => EnvFilter::try_new(text)
                        .map(|_| text.to_owned())
                        .map_err(|error| format!("{text:?} is not a tracing filter: {error}")),
                }
            },
        )
    }
}

fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    let address = text.replacen("localhost:", "127.0.0.1:", 1).parse();
    address.map_err(|_| {
        format!("{text:?} is not an address such as 127.0.0.1:3000, 0.0.0.0:3000 or [::]:3000")
    })
}

fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    format: fn(T) -> String,
) -> Result<T, String> {
    if value < *range.start() {
        return Err(format!(
            "{} is below the least, {}",
            format(value),
            format(*range.start())
        ));
    }
    if value > *range.end() {
        return Err(format!(
            "{} is above the most, {}",
            format(value),
            format(*range.end())
        ));
    }
    Ok(value)
}
