//! What a gateway is called among the others, in `ready`, and in `/stats`.
//!
//! Uses: nothing.

/// The longest name, in bytes.
const MOST_BYTES: usize = 64;
/// What ":" and a port can take of it.
const PORT_BYTES: usize = 6;

/// A gateway's name, as it is set; it has to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeName {
    /// 1 to 64 letters, digits, `.`, `_` and `-`.
    Given(String),
    /// The host's name and the port, the default: no two processes of a host have the same.
    HostAndPort,
}

impl NodeName {
    /// Reads a name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fits = (1..=MOST_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        if fits {
            Ok(Self::Given(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not 1 to {MOST_BYTES} letters, digits, '.', '_' and '-'"
            ))
        }
    }

    /// The name of a gateway that listens on this port.
    #[must_use]
    pub fn at(&self, port: u16) -> String {
        match self {
            Self::Given(name) => name.clone(),
            Self::HostAndPort => of(&host(), port),
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn of(host: &str, port: u16) -> String {
    let plain = host.trim().bytes().take(MOST_BYTES - PORT_BYTES);
    let plain: String = plain
        .map(|byte| char::from(if is_plain(byte) { byte } else { b'-' }))
        .collect();
    let host = if plain.is_empty() { "gateway" } else { &plain };
    format!("{host}-{port}")
}

/// The host's name; empty where it cannot be found.
fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let variable = || std::env::var("HOSTNAME").ok();
    kernel.or_else(variable).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["a", "eu-1.web_2", &"x".repeat(64)] {
            assert_eq!(NodeName::parse(name).unwrap().at(1), name);
        }
        for name in ["", "a b", "a\n", "ü", "a*", &"x".repeat(65)] {
            assert!(NodeName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn without_one_it_is_the_host_and_the_port() {
        assert_eq!(of("web1\n", 3000), "web1-3000");
        assert_eq!(of(" \n", 3000), "gateway-3000");
        assert_eq!(of("ü b", 1), "---b-1");
        for host in [&*"x".repeat(300), &host()] {
            let name = of(host, 65_535);
            assert_eq!(NodeName::parse(&name).unwrap().at(1), name);
        }
    }
}
