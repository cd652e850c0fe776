//! Which pages may use the gateway.
//!
//! Invariant: pure.

use http::{HeaderMap, header};

use crate::config::AllowedOrigins;
use crate::protocol::{ErrorCode, Refusal};

/// Checks the `Origin` of a request. Without one it does not come from a page, and is allowed. A gateway that speaks
/// TLS itself is the same host for https pages alone; one that does not may have a proxy in front that does.
///
/// # Errors
/// A refusal that names the origin and the setting.
pub(super) fn check(
    headers: &HeaderMap,
    allowed: &AllowedOrigins,
    tls: bool,
) -> Result<(), Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let fits = match allowed {
        AllowedOrigins::Any => true,
        AllowedOrigins::These {
            same_host: own,
            list,
        } => {
            let is_own = || match (origin.split_once("://"), host) {
                (Some((scheme, origin)), Some(host)) => same_host(tls, scheme, origin, host),
                _ => false,
            };
            list.iter().any(|entry| entry == origin) || (*own && is_own())
        }
    };
    if fits {
        Ok(())
    } else {
        let text = format!("pages of {origin:?} may not use this gateway; see allowed-origins");
        Err(Refusal::new(ErrorCode::AclDenied, text))
    }
}

/// Whether both name the same host and port; the scheme's default port may be left out.
fn same_host(tls: bool, scheme: &str, origin: &str, host: &str) -> bool {
    let default = match scheme {
        "http" if !tls => ":80",
        "https" => ":443",
        _ => return false,
    };
    let plain = |name: &str| {
        name.strip_suffix(default)
            .unwrap_or(name)
            .to_ascii_lowercase()
    };
    plain(origin) == plain(host)
}

/// Refuses a request that a page of another site caused. Browsers that say nothing about it are
/// judged by [`check`] alone.
///
/// # Errors
/// A refusal.
pub(super) fn refuse_cross_site(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers
        .get("sec-fetch-site")
        .map(http::HeaderValue::as_bytes)
    {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => {
            let text = "another site's page may not do this; open the gateway's own";
            Err(Refusal::new(ErrorCode::AclDenied, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: Option<&str>, host: &str, allowed: &AllowedOrigins) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let [plain, tls] = [false, true].map(|tls| check(&headers, allowed, tls).is_ok());
        let of_http = origin.is_some_and(|origin| origin.starts_with("http://"));
        let same_host = *allowed == AllowedOrigins::same_host();
        assert_eq!(tls, plain && !(of_http && same_host), "{origin:?} {host}");
        plain
    }

    #[test]
    fn only_the_same_host_by_default() {
        let same = &AllowedOrigins::same_host();
        for (origin, host) in [
            ("http://localhost:3000", "localhost:3000"),
            ("https://a.example", "A.example:443"),
            ("http://a.example", "a.example"),
            ("http://[::1]:3000", "[::1]:3000"),
        ] {
            assert!(allowed(Some(origin), host, same), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://localhost:3001", "localhost:3000"),
            ("http://evil.example", "a.example"),
            ("http://a.example.evil", "a.example"),
            ("https://a.example:80", "a.example:443"),
            ("null", "a.example"),
            ("file://", ""),
        ] {
            assert!(!allowed(Some(origin), host, same), "{origin} {host}");
        }
        assert!(allowed(None, "a.example", same));
    }

    #[test]
    fn a_list_is_exact() {
        let list = &AllowedOrigins::These {
            same_host: false,
            list: vec!["https://a.example".to_owned()],
        };
        assert!(allowed(Some("https://a.example"), "gateway", list));
        for origin in [
            "https://a.example.evil",
            "https://xa.example",
            "http://a.example",
            "null",
        ] {
            assert!(!allowed(Some(origin), "gateway", list), "{origin}");
        }
        assert!(allowed(Some("null"), "gateway", &AllowedOrigins::Any));
        let both = &AllowedOrigins::These {
            same_host: true,
            list: vec!["https://a.example".to_owned()],
        };
        assert!(allowed(Some("https://a.example"), "gateway", both));
        assert!(allowed(Some("https://gateway"), "gateway", both));
        assert!(!allowed(Some("https://b.example"), "gateway", both));
    }
}
