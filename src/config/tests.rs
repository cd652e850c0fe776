use std::io;
use std::path::Path;

use super::cli::interpret;
use super::*;

/// Runs the command line with an environment and one file, `gateway.toml` or
/// `key.pem`.
pub(super) fn run(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<Settings, Exit> {
    match task(args, env, file)? {
        Task::Serve(settings) => Ok(*settings),
        other @ Task::Verify { .. } => panic!("{other:?}"),
    }
}

fn task(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<Task, Exit> {
    interpret(
        std::iter::once("micro-socket")
            .chain(args.iter().copied())
            .map(Into::into),
        &|name| {
            env.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        },
        &|path| {
            if path == Path::new("gateway.toml") || path == Path::new("key.pem") {
                Ok(file.to_owned())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        },
    )
}

pub(super) fn problems(args: &[&str]) -> String {
    let exit = run(args, &[], "").unwrap_err();
    assert_eq!((exit.output.as_str(), exit.code), ("", 2));
    exit.errors
}

#[test]
fn the_defaults_are_those_of_the_catalogue() {
    let settings = run(&[], &[], "").unwrap();
    assert_eq!(run(&["serve"], &[], "").unwrap(), settings);
    for setting in SETTINGS.iter().filter(|s| s.name != "config") {
        let written = setting.default.split(" (").next().unwrap();
        let written = match written {
            "on with demo auth" => "true",
            "300s" => "5m",
            "none" | "none: on addr" | "host name and port" => "",
            "120s" => "2m",
            other => other,
        };
        let effective = settings.text(setting.name).unwrap_or_default();
        assert_eq!(effective, written, "{}", setting.name);
    }
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let env = [
        ("MICRO_SOCKET_CONFIG", "gateway.toml"),
        ("MICRO_SOCKET_MAX_TOPICS", "20"),
        ("MICRO_SOCKET_HISTORY_SIZE", "21"),
    ];
    let file =
        "max-topics = 30\nhistory-size = 31\nmax-message-bytes = \"1MiB\"\nsetup-timeout = '2m'";
    let settings = run(&["--max-topics", "10"], &env, file).unwrap();
    assert_eq!(settings.max_topics, 10);
    assert_eq!(settings.history_size, 21);
    assert_eq!(settings.max_message_bytes, 1 << 20);
    assert_eq!(settings.setup_timeout, Duration::from_secs(120));
    assert_eq!(settings.pong_timeout, Duration::from_secs(8));
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for args in [["--max-topics=7", "serve"], ["serve", "--max-topics=7"]] {
        assert_eq!(run(&args, &[], "").unwrap().max_topics, 7);
    }
}

#[test]
fn the_site_address_of_the_development_server_is_only_a_default() {
    let site = ("LEPTOS_SITE_ADDR", "127.0.0.1:4000");
    assert_eq!(run(&[], &[site], "").unwrap().addr.port(), 4000);
    let own = ("MICRO_SOCKET_ADDR", "localhost:5000");
    assert_eq!(run(&[], &[site, own], "").unwrap().addr.port(), 5000);
}

#[test]
fn a_switch_needs_no_value() {
    assert!(run(&["--demo-endpoints"], &[], "").unwrap().demo_endpoints);
    assert!(
        !run(&["--demo-endpoints", "off"], &[], "")
            .unwrap()
            .demo_endpoints
    );
    let file = run(&["--config=gateway.toml"], &[], "demo-endpoints = false").unwrap();
    assert!(!file.demo_endpoints);
    let checked = run(&["--demo-endpoints", "check-config"], &[], "").unwrap_err();
    assert_eq!(checked.code, 0);
}

#[test]
fn the_feed_belongs_to_the_demo() {
    assert!(run(&["--demo-feed"], &[], "").unwrap().demo_feed);
    assert!(!run(&[], &[], "").unwrap().demo_feed);
    let refused = run(&["--demo-feed", "--demo-endpoints=off"], &[], "").unwrap_err();
    assert!(
        refused.errors.contains("set demo-endpoints true too"),
        "{}",
        refused.errors
    );
}

#[test]
fn checked_settings_lead_to_themselves() {
    let args = [
        "check-config",
        "--addr=[::1]:80",
        "--admin-addr=[::1]:81",
        "--allowed-origins=https://a.test,https://b.test:8443",
        "--log=info,micro_socket=debug",
        "--publish-rate=5",
        "--ping-interval=1500ms",
        "--max-connections=9",
        "--node=eu-1",
        "--backbone=disk",
        "--data-dir=/var/lib/x y",
        "--fsync=250ms",
        "--nats-url=nats://a.test:4222,tls://b.test:4223",
        "--nats-creds=c.creds",
        "--nats-replicas=3",
        "--tls-cert=a.pem",
        "--tls-key=b.pem",
    ];
    let first = run(&args, &[], "").unwrap_err();
    assert_eq!((first.errors.as_str(), first.code), ("", 0));
    let again = run(
        &["check-config", "--config=gateway.toml"],
        &[],
        &first.output,
    )
    .unwrap_err();
    assert_eq!(again, first);
    let unset = [
        "config",
        "jwt-secret",
        "jwt-public-key",
        "jwks-url",
        "jwt-issuer",
        "jwt-audience",
        "otlp-endpoint",
    ];
    assert_eq!(first.output.lines().count(), SETTINGS.len() - unset.len());
}

#[test]
fn a_value_that_looks_like_a_number_is_printed_as_text_where_toml_has_no_such_number() {
    for node in ["007", "12345678901234567890", "7"] {
        let flag = format!("--node={node}");
        let first = run(&["check-config", &flag], &[], "").unwrap_err();
        let args = ["check-config", "--config=gateway.toml"];
        let again = run(&args, &[], &first.output).unwrap_err();
        assert_eq!(again, first, "{node}");
    }
}

#[test]
fn every_setting_refuses_nonsense_and_names_where_it_stands() {
    // Any text is a directory or a file.
    let any = ["data-dir", "nats-creds"];
    for setting in SETTINGS.iter().filter(|s| !any.contains(&s.name)) {
        let flag = format!("--{}", setting.name);
        let by_flag = problems(&[&format!("{flag}=/nonsense/")]);
        assert_eq!(by_flag.lines().count(), 1, "{by_flag}");
        assert!(
            by_flag.contains(&flag) || setting.name == "config",
            "{by_flag}"
        );
    }
    let by_env = run(&[], &[("MICRO_SOCKET_AUTH", "jot")], "").unwrap_err();
    assert_eq!(
        by_env.errors,
        "micro-socket: MICRO_SOCKET_AUTH: \"jot\" is not one of: demo, jwt\n"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let told = problems(&[
        "--pong-timeout=0",
        "--ping-interval=10ms",
        "--max-message-bytes=100",
        "--log=inof",
    ]);
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn values_out_of_range_are_refused() {
    for arg in [
        "--pong-timeout=0",
        "--ping-interval=0",
        "--setup-timeout=2000h",
        "--max-message-bytes=127",
        "--max-message-bytes=65MiB",
        "--max-topics=0",
        "--max-topics=-1",
        "--history-size=0",
        "--publish-rate=5000000000",
        "--allowed-origins=a.test",
        "--log=micro_socket=loud",
        "--addr=3000",
        "--admin-addr=3000",
        "--data-dir=",
        "--fsync=0",
        "--fsync=61s",
        "--fsync=never",
        "--nats-url=",
        "--nats-creds=",
        "--nats-replicas=6",
        "--nats-partitions=0",
        "--slo-target=0",
        "--slo-objective=1",
        "--slo-objective=99",
    ] {
        problems(&[arg]);
    }
    assert_eq!(
        run(&["--drain-timeout=0"], &[], "").unwrap().drain_timeout,
        Duration::ZERO
    );
}

#[test]
fn a_wrong_file_is_named_with_its_key() {
    for (file, expected) in [
        ("max-topic = 10", "gateway.toml: unknown key \"max-topic\""),
        ("max_topics = 10", "unknown key \"max_topics\""),
        ("[limits]\nmax-topics = 10", "unknown key \"limits\""),
        (
            "max-topics = 1.5",
            "max-topics in gateway.toml: \"1.5\" is not a whole number",
        ),
        ("max-topics = {}", "gateway.toml: max-topics must be"),
        (
            "max-topics = 'ten'",
            "max-topics in gateway.toml: \"ten\" is not a whole number",
        ),
        (
            "allowed-origins = [1]",
            "allowed-origins must be a string, a number, true or false, not array",
        ),
        (
            "auth = 'jwt'\njwt-issuer = ['a', 'b']",
            "gateway.toml: jwt-issuer must be a string, a number, true or false, not array",
        ),
        ("config = 'x'", "config cannot be set in the file"),
        ("max-topics = ", "gateway.toml: line 1 is not TOML"),
    ] {
        let exit = run(&["--config=gateway.toml"], &[], file).unwrap_err();
        assert!(exit.errors.contains(expected), "{}", exit.errors);
        assert_eq!(exit.code, 2);
    }
    assert!(problems(&["--config=missing.toml"]).contains("missing.toml"));
}

#[test]
fn what_holds_several_values_may_be_a_list() {
    let file = "allowed-origins = ['https://a.test', 'https://b.test']\nnats-url = ['nats://a.test', 'tls://b.test:5']";
    let settings = run(&["--config=gateway.toml"], &[], file).unwrap();
    let text = |name| settings.text(name).unwrap();
    assert_eq!(text("allowed-origins"), "https://a.test,https://b.test");
    assert_eq!(text("nats-url"), "nats://a.test,tls://b.test:5");
}

#[test]
fn an_objective_may_be_a_number_or_percent() {
    for file in ["slo-objective = 0.999", "slo-objective = '99.9%'"] {
        let settings = run(&["--config=gateway.toml"], &[], file).unwrap();
        assert_eq!(settings.slo.objective.to_string(), "0.999");
    }
}

#[test]
fn certificate_and_key_come_together() {
    assert_eq!(run(&[], &[], "").unwrap().tls, None);
    let args = ["--tls-cert=a.pem", "--tls-key=b.pem"];
    let files = run(&args, &[], "").unwrap().tls.unwrap();
    assert_eq!((files.cert, files.key), ("a.pem".into(), "b.pem".into()));
    for (one, missing) in [("--tls-cert", "tls-key"), ("--tls-key", "tls-cert")] {
        let told = problems(&[&format!("{one}=a.pem")]);
        let expected = format!("micro-socket: {one}: TLS needs {missing} too\n");
        assert_eq!(told, expected);
    }
    assert!(problems(&["--tls-cert=", "--tls-key=b.pem"]).contains("--tls-cert: it is empty"));
}

#[test]
fn origins_may_be_a_list_in_the_file() {
    let file = "allowed-origins = ['https://a.test', 'https://b.test']";
    let settings = run(&["--config=gateway.toml"], &[], file).unwrap();
    assert_eq!(
        settings.allowed_origins.text(),
        "https://a.test,https://b.test"
    );
}

#[test]
fn help_and_version_end_well() {
    for arg in ["--help", "--version"] {
        let exit = run(&[arg], &[], "").unwrap_err();
        assert_eq!((exit.errors.as_str(), exit.code), ("", 0));
        assert!(exit.output.contains("micro-socket"));
    }
    assert_eq!(run(&["--nonsense"], &[], "").unwrap_err().code, 2);
}

#[test]
fn open_demo_auth_is_warned_about() {
    assert!(run(&[], &[], "").unwrap().warnings().is_empty());
    let open = run(&["--addr=0.0.0.0:3000"], &[], "").unwrap();
    assert_eq!(open.warnings().len(), 1);
    let admin = ["--admin-addr=0.0.0.0:3001", "--addr=127.0.0.1:3000"];
    assert!(run(&admin, &[], "").unwrap().warnings()[0].contains("admin-addr"));
    let small = run(&["--send-queue-bytes=4KiB"], &[], "").unwrap();
    assert!(small.warnings()[0].contains("send-queue-bytes"));
}

#[test]
fn verify_needs_a_gateway_and_no_settings() {
    let args = ["verify", "a.example", "--json", "--timeout", "5s"];
    let Ok(Task::Verify { request, json }) = task(&args, &[("MICRO_SOCKET_AUTH", "nonsense")], "")
    else {
        panic!("not to be verified");
    };
    assert_eq!((request.url.as_str(), json), ("a.example", true));
    assert_eq!(request.timeout, std::time::Duration::from_secs(5));
    assert!(problems(&["verify", "a.example", "--timeout", "5"]).contains("--timeout"));
    assert!(problems(&["verify"]).contains("<URL>"));
    let help = run(&["verify", "--help"], &[], "").unwrap_err().output;
    assert!(help.contains("--denied-topic") && !help.contains("--backbone"));
}
