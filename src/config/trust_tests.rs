//! Keys: weak and contradictory settings are refused with one line each, and nothing tells a secret.

use super::tests::{problems, run};

const SECRET: &str = "--jwt-secret=correct horse battery staple 4242";
const KEY: &str = "--jwt-public-key=key.pem";
const PEM: &str = include_str!("../tests/fixtures/es256.pub.pem");

/// The one line that is told about these arguments.
fn problem(args: &[&str]) -> String {
    let told = problems(args);
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

#[test]
fn one_key_is_enough() {
    for key in [
        SECRET,
        KEY,
        "--jwks-url=https://id.test/jwks.json",
        "--jwks-url=http://127.0.0.1:9/jwks.json",
        "--jwks-url=http://localhost:9/",
        "--jwks-url=http://[::1]:9/",
    ] {
        let settings = run(
            &["--auth=jwt", key, "--jwt-issuer=https://id.test"],
            &[],
            PEM,
        )
        .unwrap();
        assert!(
            settings.trust.is_some() && !settings.demo_endpoints,
            "{key}"
        );
        assert!(settings.warnings().is_empty(), "{key}");
    }
    let settings = run(&["--auth=jwt", "--jwks-url=https://id.test/"], &[], "").unwrap();
    assert!(settings.warnings()[0].contains("jwt-issuer"));
    let settings = run(&["--auth=jwt", SECRET, "--demo-endpoints"], &[], "").unwrap();
    assert!(settings.warnings()[0].contains("without a token"));
}

#[test]
fn weak_and_contradictory_keys_are_refused() {
    let as_secret = format!("--jwt-secret={PEM}");
    for (args, words) in [
        (vec!["--auth=jwt"], "--auth: auth jwt needs exactly one key"),
        (
            vec!["--auth=jwt", SECRET, "--jwks-url=https://id.test/"],
            "--jwt-secret, --jwks-url: ",
        ),
        (
            vec!["--auth=jwt", "--jwt-secret=short"],
            "--jwt-secret: has 5 bytes",
        ),
        (
            vec!["--auth=jwt", "--jwt-secret="],
            "--jwt-secret: has 0 bytes",
        ),
        (vec!["--auth=jwt", &as_secret], "--jwt-secret: is a PEM key"),
        (
            vec!["--auth=jwt", "--jwt-public-key=missing.pem"],
            "cannot read missing.pem",
        ),
        (vec!["--auth=jwt", KEY], "key.pem is not a PEM"),
        (
            vec!["--auth=jwt", "--jwks-url=http://id.test/"],
            "is not encrypted",
        ),
        (
            vec!["--auth=jwt", "--jwks-url=http://127.0.0.1.id.test/"],
            "is not encrypted",
        ),
        (
            vec!["--auth=jwt", "--jwks-url=https://me:pw@id.test/"],
            "user name",
        ),
        (
            vec!["--auth=jwt", "--jwks-url=https://me:horse staple@id.test/"],
            "--jwks-url: is not a URL",
        ),
        (
            vec!["--auth=jwt", "--jwks-url=file:///etc/passwd"],
            "--jwks-url: ",
        ),
        (vec!["--auth=jwt", "--jwks-url=id.test"], "--jwks-url: "),
        (
            vec!["--auth=jwt", SECRET, "--jwt-issuer="],
            "--jwt-issuer: is empty",
        ),
        (
            vec!["--auth=jwt", SECRET, "--jwt-leeway=61s"],
            "--jwt-leeway: ",
        ),
        (vec![SECRET], "--jwt-secret: is for auth jwt"),
        (
            vec!["--auth=demo", KEY],
            "--jwt-public-key: is for auth jwt",
        ),
        (
            vec!["--jwt-audience=gateway"],
            "--jwt-audience: is for auth jwt",
        ),
    ] {
        let told = problem(&args);
        assert!(told.contains(words), "{args:?}: {told}");
        assert!(!told.contains("horse") && !told.contains("MFkwE"), "{told}");
    }
}

#[test]
fn a_private_key_is_not_taken_for_a_public_one() {
    let private = include_str!("../tests/fixtures/es256.key.pem");
    let told = run(&["--auth=jwt", KEY], &[], private).unwrap_err().errors;
    assert!(
        told.contains("private key") && !told.contains("MIG"),
        "{told}"
    );
}

#[test]
fn the_secret_is_not_shown() {
    let args = [
        "check-config",
        "--auth=jwt",
        SECRET,
        "--jwt-audience=gateway",
        "--jwt-leeway=5s",
    ];
    let shown = run(&args, &[], "").unwrap_err();
    assert_eq!(shown.code, 0);
    assert!(
        shown.output.contains("jwt-secret = \"(redacted)\""),
        "{}",
        shown.output
    );
    assert!(
        shown
            .output
            .contains("jwt-audience = \"gateway\"\njwt-leeway = \"5s\"")
    );
    let settings = run(&args[1..], &[], "").unwrap();
    for text in [shown.output, shown.errors, format!("{settings:?}")] {
        assert!(!text.contains("horse"), "{text}");
    }
}

#[test]
fn a_settings_file_that_is_not_toml_keeps_its_secret() {
    let secret = "jwt-secret = 'correct horse battery staple 4242'";
    for (file, told) in [
        (
            format!("{secret}\n{secret}\n"),
            "line 2 is not TOML: duplicate",
        ),
        (
            format!("auth = 'jwt'\n\n{}", secret.trim_end_matches('\'')),
            "line 3 is not TOML",
        ),
        (format!("{secret} and more"), "line 1 is not TOML"),
        (secret.replace('\'', ""), "line 1 is not TOML"),
        (secret.replacen('\'', "\"\"\"", 1), "line 1 is not TOML"),
        (secret.replace('=', ""), "line 1 is not TOML"),
        (format!("{secret}\njwt-secret.x = 1"), "line 2 is not TOML"),
        (
            "nats-url = nats://ann:horse@a.test".to_owned(),
            "line 1 is not TOML",
        ),
        (
            "nats-url = [\"nats://ann:horse@a.test\"".to_owned(),
            "line 1 is not TOML",
        ),
    ] {
        let errors = run(&["--config=gateway.toml"], &[], &file)
            .unwrap_err()
            .errors;
        assert!(
            errors.contains(told) && errors.contains("gateway.toml"),
            "{errors}"
        );
        assert!(!errors.contains("horse"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_token_is_minted_with_the_secret() {
    let args = [
        "token",
        "--sub=ann",
        "--read=prices.*",
        "--read=u.{user}",
        "--write=orders",
        SECRET,
    ];
    let exit = run(&args, &[], "").unwrap_err();
    assert_eq!((exit.errors.as_str(), exit.code), ("", 0));
    assert_eq!(exit.output.lines().count(), 1);
    assert_eq!(exit.output.matches('.').count(), 2);
    // The environment's auth does not matter, and its secret serves.
    let env = [
        ("MICRO_SOCKET_AUTH", "demo"),
        ("MICRO_SOCKET_JWT_SECRET", &SECRET[13..]),
    ];
    assert_eq!(run(&args[..2], &env, "").unwrap_err().code, 0);
}

#[test]
fn a_token_that_nobody_would_believe_is_not_minted() {
    for (args, words) in [
        (vec!["token", "--sub=ann"], "exactly one key"),
        (vec!["token", SECRET], "--sub"),
        (vec!["token", "--sub=", SECRET], "sub"),
        (vec!["token", "--sub=ann", "--ttl=0", SECRET], "--ttl"),
        (vec!["token", "--sub=ann", "--ttl=soon", SECRET], "--ttl"),
        (
            vec!["token", "--sub=ann", "--jwks-url=https://id.test/"],
            "can only verify",
        ),
    ] {
        let exit = run(&args, &[], "").unwrap_err();
        assert!(
            exit.code == 2 && exit.errors.contains(words),
            "{args:?} {}",
            exit.errors
        );
        assert_eq!(exit.output, "");
    }
}
