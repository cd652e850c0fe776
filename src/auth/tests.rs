//! Tokens of every kind against every kind of key.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../tests/fixtures/", $name))
    };
}

const NOW_MS: u64 = 1_790_000_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn claims() -> Value {
    json!({"sub": "ann", "exp": NOW_MS / 1000 + 60, "topics": {"read": ["prices"]}})
}

fn sign(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

/// A token whose parts are put together by hand.
fn forged(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// The four ways to sign, with the right key and with another of its kind.
fn signers() -> [(Algorithm, EncodingKey, EncodingKey); 4] {
    let rsa = |pem: &str| EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let ec = |pem: &str| EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let ed = |pem: &str| EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    let hs = |secret: &str| EncodingKey::from_secret(secret.as_bytes());
    [
        (Algorithm::HS256, hs(SECRET), hs(OTHER_SECRET)),
        (
            Algorithm::RS256,
            rsa(fixture!("rs256.key.pem")),
            rsa(fixture!("rs256-other.key.pem")),
        ),
        (
            Algorithm::ES256,
            ec(fixture!("es256.key.pem")),
            ec(fixture!("es256-other.key.pem")),
        ),
        (
            Algorithm::EdDSA,
            ed(fixture!("eddsa.key.pem")),
            ed(fixture!("eddsa-other.key.pem")),
        ),
    ]
}

fn pem(algorithm: Algorithm) -> Option<&'static str> {
    Some(match algorithm {
        Algorithm::RS256 => fixture!("rs256.pub.pem"),
        Algorithm::ES256 => fixture!("es256.pub.pem"),
        Algorithm::EdDSA => fixture!("eddsa.pub.pem"),
        _ => return None,
    })
}

fn gate(algorithm: Algorithm) -> Authenticator {
    let keys = match pem(algorithm) {
        Some(text) => KeySource::public_key("key.pem", text.to_owned()).unwrap(),
        None => KeySource::secret(SECRET).unwrap(),
    };
    let rules = Rules {
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
    };
    // No key set is fetched here, so the runtime is only a name.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    Authenticator::jwt(&Trust { keys, rules }, runtime.handle().clone()).unwrap()
}

fn check(gate: &Authenticator, token: &str) -> Result<Principal, ErrorCode> {
    match gate.authenticate(NOW_MS, token) {
        Checking::Done(answer) => answer.map_err(|refusal| refusal.code),
        Checking::Waiting(_) => panic!("a local key needs no waiting"),
    }
}

#[test]
fn demo_takes_any_token_but_none() {
    let demo = Authenticator::Demo;
    assert_eq!(&*check(&demo, "ann").unwrap().user, "ann");
    for bad in ["", &"x".repeat(256), &"x".repeat(9000)] {
        assert_eq!(check(&demo, bad), Err(ErrorCode::AuthFailed));
    }
}

#[test]
fn only_the_right_key_with_its_own_algorithm_opens() {
    for (own, ..) in signers() {
        let gate = gate(own);
        for (algorithm, right, wrong) in signers() {
            let good = check(&gate, &sign(algorithm, &right, &claims()));
            assert_eq!(good.is_ok(), algorithm == own, "{own:?} {algorithm:?}");
            let bad = check(&gate, &sign(algorithm, &wrong, &claims()));
            assert_eq!(bad, Err(ErrorCode::AuthFailed), "{own:?} {algorithm:?}");
        }
    }
}

#[test]
fn the_public_key_is_not_a_secret() {
    for (own, ..) in signers() {
        let Some(pem) = pem(own) else { continue };
        let trimmed = pem.trim_end();
        for secret in [pem, trimmed] {
            let key = EncodingKey::from_secret(secret.as_bytes());
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let token = sign(algorithm, &key, &claims());
                assert_eq!(check(&gate(own), &token), Err(ErrorCode::AuthFailed));
            }
        }
    }
}

#[test]
fn other_algorithms_of_the_same_key_are_refused() {
    let (_, secret, _) = signers().into_iter().next().unwrap();
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = sign(algorithm, &secret, &claims());
        assert_eq!(
            check(&gate(Algorithm::HS256), &token),
            Err(ErrorCode::AuthFailed)
        );
    }
    let rsa = EncodingKey::from_rsa_pem(fixture!("rs256.key.pem").as_bytes()).unwrap();
    for algorithm in [Algorithm::RS512, Algorithm::PS256] {
        let token = sign(algorithm, &rsa, &claims());
        assert_eq!(
            check(&gate(Algorithm::RS256), &token),
            Err(ErrorCode::AuthFailed)
        );
    }
}

#[test]
fn unsigned_and_tampered_tokens_are_refused() {
    for (own, right, _) in signers() {
        let gate = gate(own);
        let good = sign(own, &right, &claims());
        let parts: Vec<&str> = good.split('.').collect();
        let (head, body, signature) = (parts[0], parts[1], parts[2]);
        let mut root = claims();
        root["sub"] = json!("root");
        let root = BASE64_URL_SAFE_NO_PAD.encode(root.to_string());
        let name = format!("{own:?}");
        let mut tokens = vec![
            format!("{head}.{root}.{signature}"),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{head}.{body}.{signature}.{signature}"),
            format!("{head}.{body}.{}", &signature[1..]),
            format!("{head}..{signature}"),
            format!(".{body}.{signature}"),
            "..".to_owned(),
            "ann".to_owned(),
            "\u{0}".to_owned(),
            forged(&json!({"alg": name, "typ": "JWT"}), &claims(), ""),
            // A place for the key that the token itself names.
            forged(
                &json!({"alg": name, "jku": "http://127.0.0.1:1/"}),
                &claims(),
                signature,
            ),
            format!("{good}{}", "x".repeat(MAX_TOKEN_BYTES)),
        ];
        for none in ["none", "None", "NONE", "nOnE", ""] {
            for signature in ["", signature] {
                tokens.push(forged(
                    &json!({"alg": none, "typ": "JWT"}),
                    &claims(),
                    signature,
                ));
            }
        }
        for token in tokens {
            assert_eq!(
                check(&gate, &token),
                Err(ErrorCode::AuthFailed),
                "{own:?} {token:.80}"
            );
        }
    }
}

#[test]
fn critical_extensions_are_refused_and_unknown_headers_ignored() {
    let (own, right, _) = signers().into_iter().next().unwrap();
    let mut header = Header::new(own);
    header.kid = Some("any".to_owned());
    header.extras.insert("note", "hello");
    let token = encode(&header, &claims(), &right).unwrap();
    assert!(check(&gate(own), &token).is_ok());
    header.crit = Some(vec!["note".to_owned()]);
    let token = encode(&header, &claims(), &right).unwrap();
    assert_eq!(check(&gate(own), &token), Err(ErrorCode::AuthFailed));
}

#[test]
fn a_good_signature_does_not_make_up_for_the_claims() {
    let (own, right, _) = signers().into_iter().next().unwrap();
    for (claims, code) in [
        (json!({"sub": "ann"}), ErrorCode::AuthFailed),
        (json!({"exp": NOW_MS / 1000 + 60}), ErrorCode::AuthFailed),
        (
            json!({"sub": "ann", "exp": NOW_MS / 1000 - 1}),
            ErrorCode::TokenExpired,
        ),
        (json!({"sub": "ann", "exp": "x"}), ErrorCode::AuthFailed),
        (json!(["ann"]), ErrorCode::AuthFailed),
        (json!(7), ErrorCode::AuthFailed),
    ] {
        assert_eq!(
            check(&gate(own), &sign(own, &right, &claims)),
            Err(code),
            "{claims}"
        );
    }
}

#[test]
fn a_minted_token_is_believed() {
    let claims: Claims = serde_json::from_value(claims()).unwrap();
    let token = mint(&Token::new(SECRET), &claims).unwrap();
    let ann = check(&gate(Algorithm::HS256), &token).unwrap();
    assert_eq!(&*ann.user, "ann");
    assert!(ann.grants.allow(crate::token::Action::Read, "prices"));
}

#[test]
fn a_secret_is_never_shown() {
    let keys = KeySource::secret(SECRET).unwrap();
    assert!(!format!("{keys:?}").contains(SECRET));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let rules = Rules {
        issuer: None,
        audience: None,
        leeway: Duration::ZERO,
    };
    let trust = Trust { keys, rules };
    assert!(!format!("{trust:?}").contains(SECRET));
    let gate = Authenticator::jwt(&trust, runtime.handle().clone()).unwrap();
    assert!(!format!("{gate:?}").contains(SECRET));
    assert!(!format!("{gate:?}").contains("48, 49, 50"));
}
