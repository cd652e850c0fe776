//! The settings of the NATS backbone.
//!
//! Uses: nothing.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;

use super::raw::Reader;
use super::units::format_duration;

/// The most streams that topics are spread over.
const MOST_PARTITIONS: u16 = 64;
/// The most replicas that JetStream knows.
const MOST_REPLICAS: usize = 5;

/// Below a minute gateways would miss it; above ten years nobody looks for it.
const REVOCATION_TTLS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(10 * 365 * 24 * 3600);

/// Where NATS is and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// Its servers. Default nats://127.0.0.1:4222.
    pub servers: NatsServers,
    /// A file with credentials.
    pub credentials: Option<PathBuf>,
    /// On how many servers each message is kept, 1 to 5. Default 1.
    pub replicas: usize,
    /// Streams that topics are spread over, 1 to 64. Default 1.
    pub partitions: u16,
    /// How long a revocation is remembered. Default 30 days.
    pub revocation_ttl: Duration,
}

/// Addresses of servers, any of which will do. What is shown of them has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsServers(pub Vec<ServerAddr>);

impl fmt::Debug for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NatsServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, server) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let mut url = server.clone().into_inner();
            if server.has_user_pass() {
                // A name without a password is a token.
                let _ = url.set_password(None);
                let _ = url.set_username("***");
            }
            f.write_str(url.as_str())?;
        }
        Ok(())
    }
}

fn servers(text: &str) -> Result<NatsServers, String> {
    let server = |text: &str| {
        let server: ServerAddr = text.trim().parse().map_err(|_| ())?;
        let usable = matches!(server.scheme(), "nats" | "tls") && !server.host().is_empty();
        usable.then_some(server).ok_or(())
    };
    let servers: Result<_, ()> = text.split(',').map(server).collect();
    // What was given is not repeated: it may hold a password.
    let explain = |()| {
        "one of them is not an address such as nats://127.0.0.1:4222 or tls://host:4222".to_owned()
    };
    servers.map(NatsServers).map_err(explain)
}

impl Reader<'_> {
    pub(super) fn nats(&mut self) -> NatsSettings {
        let local = || NatsServers("nats://127.0.0.1:4222".parse().into_iter().collect());
        let file = |text: &str| match text {
            "" => Err("it is empty; give a file".to_owned()),
            file => Ok(Some(PathBuf::from(file))),
        };
        NatsSettings {
            servers: self.value("nats-url", local, servers),
            credentials: self.value("nats-creds", || None, file),
            replicas: self.number("nats-replicas", MOST_REPLICAS),
            partitions: self.number("nats-partitions", usize::from(MOST_PARTITIONS)) as u16,
            revocation_ttl: self.duration("revocation-ttl", "720h", REVOCATION_TTLS),
        }
    }

    /// A number from 1, its default, to `most`.
    fn number(&mut self, name: &str, most: usize) -> usize {
        let parse = |text: &str| {
            let number = text
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number));
            number.ok_or_else(|| format!("{text:?} is not a number from 1 to {most}"))
        };
        self.value(name, || 1, parse)
    }
}

/// One of these settings as it would be written; `None` for what is not set and for other settings.
pub(super) fn text(settings: &NatsSettings, name: &str) -> Option<String> {
    Some(match name {
        "nats-url" => settings.servers.to_string(),
        "nats-creds" => settings.credentials.as_ref()?.display().to_string(),
        "nats-replicas" => settings.replicas.to_string(),
        "nats-partitions" => settings.partitions.to_string(),
        "revocation-ttl" => format_duration(settings.revocation_ttl),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let given = "nats://ann:hunter2@a.test:4222, tls://s3cret@b.test,c.test:5222";
        let servers = servers(given).unwrap();
        assert_eq!(servers.0[0].password(), Some("hunter2"));
        let shown = "nats://***@a.test:4222,tls://***@b.test,nats://c.test:5222";
        assert_eq!(servers.to_string(), shown);
        assert_eq!(format!("{servers:?}"), shown);
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "",
            ",",
            "ftp://ann:hunter2@a.test",
            "ws://a.test",
            "nats://",
            "nats://a:x",
        ] {
            let told = servers(text).unwrap_err();
            assert!(
                told.contains("nats://127.0.0.1:4222") && !told.contains("hunter2"),
                "{told}"
            );
        }
    }
}
