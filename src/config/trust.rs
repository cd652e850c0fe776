//! The settings of signed tokens: exactly one key, and what tokens must say.
//!
//! Uses: auth.

use std::time::Duration;

use crate::auth::{KeySource, Rules, Trust};

use super::Auth;
use super::raw::Reader;
use super::units::format_duration;

/// The settings that name a key.
const SOURCES: [&str; 3] = ["jwt-secret", "jwt-public-key", "jwks-url"];
/// The settings that mean nothing with demo auth.
const ONLY_JWT: [&str; 5] = [
    SOURCES[0],
    SOURCES[1],
    SOURCES[2],
    "jwt-issuer",
    "jwt-audience",
];
/// The most that two clocks of one system are apart.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

impl Reader<'_> {
    /// Which tokens are believed; `None` with demo auth, or after a problem.
    pub(super) fn trust(&mut self, auth: Auth) -> Option<Trust> {
        let leeway = self.duration("jwt-leeway", "0", Duration::ZERO..=MAX_LEEWAY);
        if auth == Auth::Demo {
            for name in ONLY_JWT {
                if let Some(given) = self.given(name) {
                    self.problem(format!(
                        "{}: is for auth jwt, but auth is demo, which checks no token; set auth to jwt or leave this out",
                        given.place
                    ));
                }
            }
            return None;
        }
        let given: Vec<_> = SOURCES
            .into_iter()
            .filter_map(|name| self.given(name))
            .collect();
        if given.len() != 1 {
            let places: Vec<_> = given.iter().map(|given| given.place.as_str()).collect();
            let place = match self.given("auth") {
                Some(auth) if places.is_empty() => auth.place.clone(),
                _ => places.join(", "),
            };
            self.problem(format!(
                "{place}: auth jwt needs exactly one key, which fixes the algorithm; give one of {}",
                SOURCES.join(", ")
            ));
            return None;
        }
        let secret = self.value(
            "jwt-secret",
            || None,
            |text| KeySource::secret(text).map(Some),
        );
        let content = self.key_file();
        let public_key = self.value(
            "jwt-public-key",
            || None,
            |file| {
                let content = content.map_err(|error| format!("cannot read {file}: {error}"))?;
                KeySource::public_key(file, content).map(Some)
            },
        );
        let key_set = self.value("jwks-url", || None, |url| KeySource::key_set(url).map(Some));
        let rules = Rules {
            issuer: self.name("jwt-issuer"),
            audience: self.name("jwt-audience"),
            leeway,
        };
        let keys = secret.or(public_key).or(key_set)?;
        Some(Trust { keys, rules })
    }

    fn name(&mut self, setting: &str) -> Option<String> {
        self.value(
            setting,
            || None,
            |text| match text {
                "" => Err("is empty; leave it out instead".to_owned()),
                _ => Ok(Some(text.to_owned())),
            },
        )
    }
}

/// One of these settings as it may be shown.
pub(super) fn text(trust: Option<&Trust>, name: &str) -> Option<String> {
    let rules = trust.map(|trust| &trust.rules);
    match name {
        "jwt-leeway" => Some(format_duration(rules.map_or(Duration::ZERO, |r| r.leeway))),
        "jwt-issuer" => rules?.issuer.clone(),
        "jwt-audience" => rules?.audience.clone(),
        _ => {
            let (setting, value) = trust?.keys.shown();
            (setting == name).then_some(value)
        }
    }
}
