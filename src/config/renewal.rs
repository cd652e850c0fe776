//! Which settings of a running gateway can be changed, and what becomes of the others.
//!
//! Uses: protocol.

use crate::protocol::reference::SETTINGS;

use super::Settings;

impl Settings {
    /// These settings with what can be changed while the gateway runs taken from `new`, and the names of
    /// the settings that differ all the same: they count after a restart.
    #[must_use]
    pub fn renewed(&self, new: &Self) -> (Self, Vec<&'static str>) {
        // Whether tokens are checked, and whether there is TLS, is decided once.
        let trust = match (&self.trust, &new.trust) {
            (Some(_), Some(new)) => Some(new.clone()),
            (old, _) => old.clone(),
        };
        let tls = match (&self.tls, &new.tls) {
            (Some(_), Some(new)) => Some(new.clone()),
            (old, _) => old.clone(),
        };
        // Its default is that of the auth it stands beside.
        let demo_endpoints = if new.auth == self.auth {
            new.demo_endpoints
        } else {
            self.demo_endpoints
        };
        let renewed = Self {
            trust,
            tls,
            allowed_origins: new.allowed_origins.clone(),
            demo_endpoints,
            max_topics: new.max_topics,
            max_connections: new.max_connections,
            send_queue_bytes: new.send_queue_bytes,
            setup_timeout: new.setup_timeout,
            ping_interval: new.ping_interval,
            pong_timeout: new.pong_timeout,
            publish_rate: new.publish_rate,
            drain_timeout: new.drain_timeout,
            ..self.clone()
        };
        // A password is no part of the text.
        let other_servers = renewed.nats.servers != new.nats.servers;
        let differs = |name: &&'static str| {
            renewed.text(name) != new.text(name) || *name == "nats-url" && other_servers
        };
        let names = SETTINGS.iter().map(|setting| setting.name);
        let left = names.filter(differs).collect();
        (renewed, left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::tests::run;

    /// Settings that can be given another value, with one.
    const OTHERS: &[(&str, &str)] = &[
        ("addr", "127.0.0.1:1"),
        ("admin-addr", "127.0.0.1:2"),
        ("node", "other"),
        ("backbone", "disk"),
        ("data-dir", "other"),
        ("fsync", "7ms"),
        ("jwt-secret", "another secret that is long enough to be one"),
        ("jwt-issuer", "other"),
        ("jwt-audience", "other"),
        ("jwt-leeway", "7s"),
        ("tls-cert", "other.pem"),
        ("tls-key", "other.pem"),
        ("allowed-origins", "https://other.test"),
        ("demo-endpoints", "true"),
        ("max-message-bytes", "7KiB"),
        ("max-topics", "7"),
        ("max-connections", "7"),
        ("send-queue-bytes", "7KiB"),
        ("setup-timeout", "7s"),
        ("ping-interval", "7s"),
        ("pong-timeout", "7s"),
        ("session-ttl", "7s"),
        ("dedup-ttl", "7s"),
        ("dedup-bytes", "7KiB"),
        ("history-size", "7"),
        ("history-ttl", "7s"),
        ("history-bytes", "7KiB"),
        ("publish-rate", "7"),
        ("slo-target", "7ms"),
        ("slo-objective", "0.7"),
        ("drain-timeout", "7s"),
        ("log", "debug"),
        ("log-format", "json"),
        ("otlp-sample", "0.7"),
    ];

    fn jwt(more: &[(&str, &str)]) -> Settings {
        let base = [
            ("auth", "jwt"),
            ("jwt-secret", "a secret that is long enough to be one"),
            ("tls-cert", "a.pem"),
            ("tls-key", "a.pem"),
        ];
        let kept = base
            .iter()
            .filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let args: Vec<String> = (kept.chain(more))
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&args, &[], "").unwrap()
    }

    #[test]
    fn the_handbook_names_what_can_be_changed() {
        let old = jwt(&[]);
        assert_eq!(old.renewed(&old), (old.clone(), vec![]));
        let mut live = BTreeSet::from(["jwt-public-key", "jwks-url"]);
        for (name, value) in OTHERS {
            let new = jwt(&[(name, value)]);
            assert_ne!(new, old, "{name}");
            match old.renewed(&new) {
                (renewed, left) if left.is_empty() => {
                    assert_eq!(renewed, new, "{name}");
                    live.insert(name);
                }
                (renewed, left) => {
                    assert_eq!((renewed, left), (old.clone(), vec![*name]));
                }
            }
        }
        let handbook = include_str!("../../deploy/README.md");
        let (_, list) = handbook.split_once("<!-- reloaded -->").unwrap();
        let (list, _) = list.split_once("<!-- /reloaded -->").unwrap();
        let words = list.split('`').skip(1).step_by(2);
        let named: BTreeSet<&str> = words.filter(|word| !word.contains(' ')).collect();
        assert_eq!(named, live);
    }

    #[test]
    fn another_nats_password_needs_a_restart() {
        let of = |url: &str| run(&[&format!("--nats-url={url}")], &[], "").unwrap();
        let (old, new) = (of("nats://ann:a@n.test"), of("nats://ann:b@n.test"));
        assert_eq!(old.renewed(&new), (old.clone(), vec!["nats-url"]));
        assert_eq!(old.renewed(&old), (old.clone(), vec![]));
    }

    #[test]
    fn tokens_and_tls_are_not_turned_on_or_off() {
        let (demo, jwt) = (run(&[], &[], "").unwrap(), jwt(&[]));
        let names = [
            "auth",
            "jwt-secret",
            "tls-cert",
            "tls-key",
            "demo-endpoints",
        ];
        for (old, new) in [(&jwt, &demo), (&demo, &jwt)] {
            let (renewed, left) = old.renewed(new);
            assert_eq!(&renewed, old);
            assert_eq!(left, names);
        }
    }
}
