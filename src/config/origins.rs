//! Which pages may connect.
//!
//! Uses: nothing.

/// Origins of pages that may open a socket or call the API. A request without `Origin` is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Those that are named.
    These {
        /// Whether pages are among them whose host and port are those of the request.
        same_host: bool,
        /// Exactly these, as a browser writes them: lower case, no default port.
        list: Vec<String>,
    },
    /// Every page.
    Any,
}

/// How pages of the gateway's own host and port are named.
const SAME_HOST: &str = "same-host";

impl AllowedOrigins {
    /// Pages of the same host and port only.
    #[must_use]
    pub const fn same_host() -> Self {
        Self::These {
            same_host: true,
            list: Vec::new(),
        }
    }

    /// Reads `*`, or a comma-separated list of origins and `same-host`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let (mut same_host, mut list) = (false, Vec::new());
        for part in text.split(',').map(str::trim) {
            match part {
                SAME_HOST | "same host" => same_host = true,
                named => list.push(origin(named)?),
            }
        }
        Ok(Self::These { same_host, list })
    }

    /// Writes what [`Self::parse`] reads.
    pub(super) fn text(&self) -> String {
        match self {
            Self::These { same_host, list } => {
                let own = same_host.then_some(SAME_HOST);
                let parts: Vec<_> = own
                    .into_iter()
                    .chain(list.iter().map(String::as_str))
                    .collect();
                parts.join(",")
            }
            Self::Any => "*".to_owned(),
        }
    }
}

fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{text:?} is not an origin: write scheme://host or scheme://host:port without a path, same-host, or * alone for all"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (host, port) = match rest.rfind(':') {
        Some(colon) if !rest.ends_with(']') => (&rest[..colon], Some(&rest[colon + 1..])),
        _ => (rest, None),
    };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let host_fits = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().map_err(|_| wrong())?),
        None => None,
    };
    if !scheme_fits || !host_fits {
        return Err(wrong());
    }
    let scheme = scheme.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    Ok(match (scheme.as_str(), port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, expected) in [
            ("https://Example.COM", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:8080", "http://example.com:8080"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(
                AllowedOrigins::parse(text),
                Ok(AllowedOrigins::These {
                    same_host: false,
                    list: vec![expected.to_owned()]
                })
            );
        }
    }

    #[test]
    fn words_and_lists() {
        assert_eq!(AllowedOrigins::parse("*"), Ok(AllowedOrigins::Any));
        assert_eq!(
            AllowedOrigins::parse("same-host"),
            Ok(AllowedOrigins::same_host())
        );
        let list = AllowedOrigins::parse("https://a.test, https://b.test").unwrap();
        assert_eq!(list.text(), "https://a.test,https://b.test");
        let both = AllowedOrigins::parse("https://a.test, same-host").unwrap();
        assert_eq!(both.text(), "same-host,https://a.test");
        assert_eq!(AllowedOrigins::parse(&both.text()), Ok(both));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "example.com",
            "https://",
            "https://a.test/",
            "https://a.test/path",
            "https://a.test:port",
            "https://*.a.test",
            "https://a.test,*",
            "https://u@a.test",
            "null",
            "http://[zz]",
        ] {
            assert!(AllowedOrigins::parse(text).is_err(), "{text}");
        }
    }
}
