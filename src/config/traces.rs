//! The settings of traces.

use http::Uri;

use super::raw::Reader;

/// Of a million, when the settings do not say.
const SAMPLE: u32 = 10_000;

impl Reader<'_> {
    pub(super) fn collector(&mut self, name: &str) -> Option<String> {
        self.value(name, || None, |text| endpoint(text).map(Some))
    }

    pub(super) fn sample(&mut self, name: &str) -> u32 {
        self.value(name, || SAMPLE, sample)
    }
}

/// Reads `0.01` or `1%`.
fn sample(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    match number.parse::<f64>().map(|number| number / unit) {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok((share * 1e6).round() as u32),
        _ => Err(format!(
            "{text:?} is not a share from 0 to 1, such as 0.01 or 1%"
        )),
    }
}

/// Checks a collector's address; without a path it is the one of the standard.
fn endpoint(text: &str) -> Result<String, String> {
    if !cfg!(feature = "otlp") {
        return Err("this micro-socket was built without traces; build it with: cargo leptos build --release --precompress --bin-features otlp".to_owned());
    }
    let uri: Option<Uri> = text.parse().ok();
    let plain = |uri: &Uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        uri.scheme_str() == Some("http") && !authority.is_empty() && !authority.contains('@')
    };
    let Some(uri) = uri.filter(plain) else {
        // What was given is not repeated: it may hold a password.
        return Err(
            "is not an address such as http://127.0.0.1:4318, without a user name or password; a collector beside the gateway speaks TLS to others"
                .to_owned(),
        );
    };
    Ok(match uri.path() {
        "" | "/" => format!("{}/v1/traces", text.trim_end_matches('/')),
        _ => text.to_owned(),
    })
}

pub(super) fn share(of_a_million: u32) -> String {
    (f64::from(of_a_million) / 1e6).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read() {
        for (text, of_a_million) in [
            ("0", 0),
            ("1", 1_000_000),
            ("0.01", 10_000),
            ("2.5%", 25_000),
        ] {
            assert_eq!(sample(text), Ok(of_a_million));
            assert_eq!(sample(&share(of_a_million)), Ok(of_a_million));
        }
        for text in ["", "-0.1", "1.1", "101%", "some", "NaN"] {
            assert!(sample(text).is_err(), "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "otlp"))]
    fn without_the_feature_it_says_how_to_get_it() {
        let refused = endpoint("http://127.0.0.1:4318").unwrap_err();
        assert!(refused.contains("--bin-features otlp"), "{refused}");
    }

    #[test]
    #[cfg(feature = "otlp")]
    fn a_collector_is_spoken_to_in_plain_http() {
        for (text, becomes) in [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("http://[::1]/other", "http://[::1]/other"),
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(becomes));
        }
        for text in ["", "c:4318", "https://c", "http://", "http://u:p@c/"] {
            let told = endpoint(text).unwrap_err();
            assert!(told.contains("http://127.0.0.1:4318") && !told.contains("u:p"));
        }
    }
}
