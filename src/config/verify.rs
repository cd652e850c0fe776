//! `micro-socket verify URL`: its part of the command line.
//!
//! Uses: protocol, verify.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::units::parse_duration;
use crate::protocol::Token;
use crate::verify::Request;

pub(super) const NAME: &str = "verify";

pub(super) fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new(NAME)
        .about("Asks a live gateway for evidence of the seven promises, and ends with 0 or 1")
        .arg(
            Arg::new("url")
                .value_name("URL")
                .required(true)
                .help("The gateway, such as http://127.0.0.1:3000"),
        )
        .arg(
            option("token", "TOKEN", "Its user may read and write verify.*")
                .default_value("verify"),
        )
        .arg(option(
            "denied-topic",
            "TOPIC",
            "A topic that the token does not allow",
        ))
        .arg(option("timeout", "TIME", "How long all of it may take").default_value("30s"))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Prints the report as JSON"),
        )
}

/// What is to be verified, and whether the report is wanted as JSON.
pub(super) fn read(matches: &ArgMatches) -> Result<(Request, bool), String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let timeout = text("timeout").unwrap_or_default();
    let request = Request {
        url: text("url").unwrap_or_default(),
        token: Token::new(text("token").unwrap_or_default()),
        denied_topic: text("denied-topic"),
        timeout: parse_duration(&timeout).map_err(|why| format!("--timeout: {why}"))?,
    };
    Ok((request, matches.get_flag("json")))
}
