//! A key set as text, and the keys of it that can verify tokens.
//!
//! Invariant: pure.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::super::keys::{Key, MIN_RSA_BYTES};

/// Keys that are kept of one set.
const MAX_KEYS: usize = 256;

#[derive(Debug)]
pub(super) struct KeySet(Vec<(Option<String>, Key)>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members of a key that matter (RFC 7517 section 4, RFC 7518 section 6, RFC 8037).
#[derive(Deserialize)]
struct Member {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of a kind that cannot be used are passed over: a set may hold keys for
    /// others too. Secrets (kty oct) are never used: whoever can read the set could sign with them.
    ///
    /// # Errors
    /// When it is not a key set or holds no usable key.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(body)
            .map_err(|error| format!("it is not a key set: {error}"))?;
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(|value| serde_json::from_value::<Member>(value).ok())
            .filter_map(|member| Some((member.kid.clone(), key(&member)?)))
            .take(MAX_KEYS)
            .collect();
        if keys.is_empty() {
            return Err("it holds no key for signatures of a kind this gateway knows".to_owned());
        }
        Ok(Self(keys))
    }

    /// The key of that name; without a name the only one there is.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (kid, &self.0[..]) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (Some(kid), keys) => keys
                .iter()
                .find(|(name, _)| name.as_deref() == Some(kid))
                .map(|(_, key)| key),
        }
    }
}

fn key(member: &Member) -> Option<Key> {
    if member
        .purpose
        .as_deref()
        .is_some_and(|purpose| purpose != "sig")
    {
        return None;
    }
    let named = member.alg.as_deref();
    let fits =
        |algorithm: Algorithm, name: &str| (named.is_none_or(|n| n == name)).then_some(algorithm);
    let (algorithm, key) = match (member.kty.as_str(), member.crv.as_deref()) {
        ("RSA", _) => {
            let algorithm = match named {
                None | Some("RS256") => Algorithm::RS256,
                Some("RS384") => Algorithm::RS384,
                Some("RS512") => Algorithm::RS512,
                Some("PS256") => Algorithm::PS256,
                Some("PS384") => Algorithm::PS384,
                Some("PS512") => Algorithm::PS512,
                Some(_) => return None,
            };
            let (n, e) = (member.n.as_deref()?, member.e.as_deref()?);
            let modulus = BASE64_URL_SAFE_NO_PAD.decode(n).ok()?;
            let length = modulus.iter().skip_while(|byte| **byte == 0).count();
            if length < MIN_RSA_BYTES {
                return None;
            }
            (algorithm, DecodingKey::from_rsa_components(n, e).ok()?)
        }
        ("EC", Some(curve)) => {
            let algorithm = match curve {
                "P-256" => fits(Algorithm::ES256, "ES256")?,
                "P-384" => fits(Algorithm::ES384, "ES384")?,
                _ => return None,
            };
            let (x, y) = (member.x.as_deref()?, member.y.as_deref()?);
            (algorithm, DecodingKey::from_ec_components(x, y).ok()?)
        }
        ("OKP", Some("Ed25519")) => {
            let algorithm = fits(Algorithm::EdDSA, "EdDSA")?;
            (
                algorithm,
                DecodingKey::from_ed_components(member.x.as_deref()?).ok()?,
            )
        }
        _ => return None,
    };
    Some(Key::new(algorithm, key))
}
