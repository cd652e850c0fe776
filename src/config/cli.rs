//! The command line: `micro-socket [serve]`, `micro-socket check-config`, `micro-socket token`,
//! `micro-socket verify URL`, `--help`, `--version`.
//!
//! Uses: protocol, verify.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use clap::{Arg, ArgMatches, Command};

use super::{RawSettings, Settings, token, verify};
use crate::protocol::reference::SETTINGS;
use crate::verify::Request;

/// Headings of the help, each with the setting it stands above.
const HEADINGS: &[(&str, &str)] = &[
    ("addr", "Gateway"),
    ("auth", "Access"),
    ("max-message-bytes", "Limits"),
    ("setup-timeout", "Connections"),
    ("dedup-ttl", "Deduplication and replay"),
    ("publish-rate", "Rates"),
    ("slo-target", "Running"),
];

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// A gateway.
    Serve(Box<Settings>),
    /// Evidence from a running one.
    Verify {
        /// Of which, and how.
        request: Request,
        /// Whether the report is wanted as JSON.
        json: bool,
    },
}

/// The command line asks for nothing that runs: help, a version, checked settings, or problems.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    /// For standard output.
    pub output: String,
    /// For standard error.
    pub errors: String,
    /// 0, or 2 when the command line or the settings are wrong.
    pub code: u8,
}

impl Exit {
    pub(super) fn problems(problems: &[String]) -> Self {
        let errors = problems
            .iter()
            .map(|problem| format!("micro-socket: {problem}\n"))
            .collect();
        Self {
            output: String::new(),
            errors,
            code: 2,
        }
    }

    /// Prints what is to be said. Nobody may be reading it any more.
    #[must_use]
    pub fn print(&self) -> ExitCode {
        let _ = io::stdout().write_all(self.output.as_bytes());
        let _ = io::stderr().write_all(self.errors.as_bytes());
        ExitCode::from(self.code)
    }
}

/// Reads the process's arguments, environment and settings file.
///
/// # Errors
/// [`Exit`] when there is nothing to run; the caller prints it and ends with its code.
pub fn parse() -> Result<Task, Exit> {
    interpret(
        std::env::args_os(),
        &|name| std::env::var(name).ok(),
        &|path| fs::read_to_string(path),
    )
}

/// [`parse`] with the outside world as parameters.
pub(super) fn interpret(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Task, Exit> {
    let matches = command().try_get_matches_from(args).map_err(|error| {
        let (text, code) = (error.render().to_string(), error.exit_code());
        let (output, errors) = if error.use_stderr() {
            (String::new(), text)
        } else {
            (text, String::new())
        };
        Exit {
            output,
            errors,
            code: u8::try_from(code).unwrap_or(2),
        }
    })?;
    if let Some((verify::NAME, arguments)) = matches.subcommand() {
        let (request, json) = verify::read(arguments).map_err(|why| Exit::problems(&[why]))?;
        return Ok(Task::Verify { request, json });
    }
    let settings = gather(&matches, env, read)
        .and_then(|raw| Settings::resolve(&raw, env("LEPTOS_SITE_ADDR").as_deref()))
        .map_err(|problems| Exit::problems(&problems))?;
    match matches.subcommand() {
        Some(("check-config", _)) => {}
        Some((token::NAME, arguments)) => return Err(token::exit(&settings, arguments)),
        _ => return Ok(Task::Serve(Box::new(settings))),
    }
    let warnings = settings.warnings();
    Err(Exit {
        output: settings.to_toml(),
        errors: warnings
            .iter()
            .map(|warning| format!("micro-socket: warning: {warning}\n"))
            .collect(),
        code: 0,
    })
}

fn gather(
    matches: &ArgMatches,
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<RawSettings, Vec<String>> {
    let mut raw = RawSettings::default();
    if matches.subcommand_name() == Some(token::NAME) {
        // A token is minted for jwt auth, whatever the gateway would run with.
        raw.add("auth", "jwt".to_owned(), "micro-socket token".to_owned());
    }
    let matches = matches.subcommand().map_or(matches, |(_, inner)| inner);
    let mut file = None;
    for setting in SETTINGS {
        let variable = setting.environment();
        let given = matches
            .get_one::<String>(setting.name)
            .map(|text| (text.clone(), format!("--{}", setting.name)))
            .or_else(|| env(&variable).map(|text| (text, variable)));
        match given {
            Some((path, _)) if setting.name == "config" => file = Some(path),
            Some((text, place)) => raw.add(setting.name, text, place),
            None => {}
        }
    }
    if let Some(file) = file {
        let content = read(Path::new(&file))
            .map_err(|error| vec![format!("cannot read the settings file {file}: {error}")])?;
        raw.add_file(&file, &content)?;
    }
    raw.read_key_file(read);
    Ok(raw)
}

/// The command line, made from the catalogue of settings.
fn command() -> Command {
    let mut heading = None;
    let args: Vec<Arg> = SETTINGS
        .iter()
        .map(|setting| {
            heading = HEADINGS
                .iter()
                .find(|(first, _)| *first == setting.name)
                .map(|(_, text)| *text)
                .or(heading);
            let arg = Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.name.rsplit('-').next().unwrap_or_default())
                .help(format!(
                    "{} [default: {}] [env: {}]",
                    setting.meaning,
                    setting.default,
                    setting.environment()
                ))
                .help_heading(heading)
                .global(true);
            if ["demo-endpoints", "demo-feed"].contains(&setting.name) {
                arg.num_args(0..=1).default_missing_value("true")
            } else {
                arg
            }
        })
        .collect();
    // Nothing of a gateway's own settings matters to another one.
    let hidden = |arg: &Arg| arg.clone().global(false).hide(true);
    let verify = verify::command().args(args.iter().map(hidden));
    // Nor is a token made of more than its issuer's.
    let theirs = ["config", "jwt-secret", "jwt-issuer", "jwt-audience"];
    let of_tokens = |arg: &&Arg| !theirs.contains(&arg.get_id().as_str());
    let token = token::command().args(args.iter().filter(of_tokens).map(hidden));
    Command::new("micro-socket")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .after_help(
            "The flag wins over the environment, that over the TOML file, that over the default.\n\
             Durations read like 100ms, 10s, 2m, 1h; sizes are bytes or 64KiB, 1MiB, 1GiB.",
        )
        .subcommand_precedence_over_arg(true)
        .disable_help_subcommand(true)
        .next_line_help(true)
        .subcommand(Command::new("serve").about("Runs the gateway; the same as no command"))
        .subcommand(
            Command::new("check-config").about(
                "Prints the settings in effect as TOML, or the problems, and ends with 0 or 2. Certificates, \
                 and whatever is on the network, are looked at when the gateway starts",
            ),
        )
        .subcommand(verify)
        .subcommand(token)
        .args(args)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_the_catalogue() {
        let mut command = command();
        command.build();
        let flags: BTreeSet<_> = command
            .get_arguments()
            .filter_map(Arg::get_long)
            .filter(|long| !["help", "version"].contains(long))
            .map(str::to_owned)
            .collect();
        let known: BTreeSet<_> = SETTINGS.iter().map(|s| s.name.to_owned()).collect();
        assert_eq!(flags, known);
        let help = command.render_help().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&setting.environment()), "{}", setting.name);
            assert!(help.contains(setting.default), "{}", setting.name);
        }
        for (first, _) in HEADINGS {
            assert!(known.contains(*first), "no setting {first} for a heading");
        }
        command.debug_assert();
    }
}
