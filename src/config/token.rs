//! `micro-socket token`: mints a token for development with the configured secret.
//!
//! Uses: auth.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::auth::mint;
use crate::token::{Audience, Claims, Topics};

use super::cli::Exit;
use super::units::{format_duration, parse_duration};
use super::{Settings, Trust};

/// The subcommand's name.
pub(super) const NAME: &str = "token";
/// A token for development that outlives this was meant for something else.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The subcommand and its own arguments; the settings are global.
pub(super) fn command() -> Command {
    let patterns = |name: &'static str, what: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATTERN")
            .action(ArgAction::Append)
            .help(format!(
                "Topics to {what}: exact, or with * at the end; {{user}} stands for the user. May be repeated"
            ))
    };
    let text = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    Command::new(NAME)
        .about("Prints a token for development, signed with jwt-secret (HS256)")
        .arg(text("sub", "The user").required(true).value_name("USER"))
        .arg(patterns("read", "subscribe, replay and read"))
        .arg(patterns("write", "publish to"))
        .arg(
            text("ttl", "How long it is valid")
                .default_value("1h")
                .value_name("DURATION"),
        )
        .arg(text("jti", "Its id, by which it can be revoked").value_name("ID"))
        .arg(
            text(
                "admin",
                "It is an operator's: it may see and end what users have",
            )
            .action(ArgAction::SetTrue),
        )
}

/// The token, or why there is none.
pub(super) fn exit(settings: &Settings, arguments: &ArgMatches) -> Exit {
    match settings.trust.as_ref().map(|trust| token(trust, arguments)) {
        Some(Ok(token)) => Exit {
            output: format!("{token}\n"),
            errors: String::new(),
            code: 0,
        },
        Some(Err(problem)) => Exit::problems(&[problem]),
        None => Exit::problems(&["there is no key to sign with; give jwt-secret".to_owned()]),
    }
}

fn token(trust: &Trust, arguments: &ArgMatches) -> Result<String, String> {
    let Some(secret) = trust.keys.as_secret() else {
        let (setting, _) = trust.keys.shown();
        return Err(format!(
            "{setting} can only verify; tokens for it come from the issuer, or give jwt-secret"
        ));
    };
    let one = |name: &str| arguments.get_one::<String>(name).cloned();
    let many = |name: &str| {
        arguments
            .get_many(name)
            .unwrap_or_default()
            .cloned()
            .collect()
    };
    let ttl = parse_duration(&one("ttl").unwrap_or_default())
        .map_err(|problem| format!("--ttl: {problem}"))?;
    if ttl < Duration::from_secs(1) || ttl > LONGEST {
        return Err(format!("--ttl: must be 1s to {}", format_duration(LONGEST)));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let claims = || Claims {
        sub: one("sub"),
        exp: Some((now + ttl).as_secs().into()),
        nbf: None,
        iat: Some(now.as_secs().into()),
        iss: trust.rules.issuer.clone(),
        aud: trust.rules.audience.clone().map(Audience::One),
        jti: one("jti"),
        topics: Some(Topics {
            read: many("read"),
            write: many("write"),
        }),
        admin: arguments.get_flag("admin").then_some(true),
    };
    // What the gateway would refuse is not worth minting.
    let checked = trust.rules.check(now.as_millis() as u64, claims());
    checked.map_err(|refusal| refusal.message.into_owned())?;
    mint(secret, &claims())
}
