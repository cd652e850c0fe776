//! The catalogue: every endpoint, frame and setting with an example, in the order people learn
//! them. The page, the README's table and the AsyncAPI document are made from it, and tests hold
//! it against the code, so that none of them can drift.

mod frames;

pub use frames::FRAMES;

/// Who sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A client.
    ToServer,
    /// The gateway.
    ToClient,
}

/// One frame of the protocol.
#[derive(Debug)]
pub struct FrameDoc {
    /// The `type` on the wire.
    pub name: &'static str,
    /// Who sends it.
    pub direction: Direction,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// Its fields besides `type`.
    pub fields: &'static [FieldDoc],
    /// A whole frame as JSON.
    pub example: &'static str,
}

/// One field of a frame.
#[derive(Debug)]
pub struct FieldDoc {
    /// The name on the wire.
    pub name: &'static str,
    /// The kind of value, in words.
    pub kind: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

/// One HTTP or WebSocket endpoint.
#[derive(Debug)]
pub struct EndpointDoc {
    /// `GET`, `POST` or `WS`.
    pub method: &'static str,
    /// The path with its parameters in braces.
    pub path: &'static str,
    /// What it answers.
    pub summary: &'static str,
}

/// One setting of the gateway.
#[derive(Debug)]
pub struct SettingDoc {
    /// The flag without its dashes, which is also the key in the TOML file.
    pub name: &'static str,
    /// The default in words.
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

impl SettingDoc {
    /// The environment variable that sets it.
    #[must_use]
    pub fn environment(&self) -> String {
        format!(
            "MICRO_SOCKET_{}",
            self.name.replace('-', "_").to_uppercase()
        )
    }
}

/// The frame with this name in this direction.
#[must_use]
pub fn frame(direction: Direction, name: &str) -> Option<&'static FrameDoc> {
    FRAMES
        .iter()
        .find(|frame| frame.direction == direction && frame.name == name)
}

/// Every endpoint.
pub const ENDPOINTS: &[EndpointDoc] = &[
    EndpointDoc {
        method: "WS",
        path: "/ws",
        summary: "One connection, many topics.",
    },
    EndpointDoc {
        method: "WS",
        path: "/ws/sub/{topic}",
        summary: "One connection for one topic, subscribed by setup.",
    },
    EndpointDoc {
        method: "GET",
        path: "/docs",
        summary: "This page.",
    },
    EndpointDoc {
        method: "GET",
        path: "/client.js",
        summary: "The JavaScript client: one module, for pages of any origin.",
    },
    EndpointDoc {
        method: "GET",
        path: "/openapi",
        summary: "The HTTP API as an interactive page.",
    },
    EndpointDoc {
        method: "GET",
        path: "/openapi.json",
        summary: "The HTTP API as OpenAPI 3.1.",
    },
    EndpointDoc {
        method: "GET",
        path: "/asyncapi.json",
        summary: "The WebSocket protocol as AsyncAPI 3.0.",
    },
    EndpointDoc {
        method: "GET",
        path: "/stats?scope=",
        summary: "Connections, topics and subscriptions now, counters and latency; of all gateways with scope=cluster.",
    },
    EndpointDoc {
        method: "GET",
        path: "/stats/stream",
        summary: "The same every second, as server-sent events.",
    },
    EndpointDoc {
        method: "GET",
        path: "/demo/publish/{topic}?k=v",
        summary: "Publishes the query as an object, for trying things out.",
    },
    EndpointDoc {
        method: "POST",
        path: "/demo/faults",
        summary: "Treats the socket of a session as a bad network would, for trying things out.",
    },
    EndpointDoc {
        method: "POST",
        path: "/api/publish",
        summary: "Publishes one message or up to 1000, with a Bearer token.",
    },
    EndpointDoc {
        method: "GET",
        path: "/api/topics/{topic}/history?after=&limit=",
        summary: "The topic's head and its kept messages after a seqNo.",
    },
    EndpointDoc {
        method: "GET",
        path: "/api/topics?prefix=&after=&limit=",
        summary: "Topics with a subscriber on any gateway, with their counts; needs the claim admin.",
    },
    EndpointDoc {
        method: "GET",
        path: "/api/users/{user}/connections",
        summary: "The user's connections to any gateway; needs the claim admin.",
    },
    EndpointDoc {
        method: "POST",
        path: "/api/unsubscribe",
        summary: "Takes a topic from a user's connections; needs the claim admin.",
    },
    EndpointDoc {
        method: "POST",
        path: "/api/disconnect",
        summary: "Closes the sockets of a user or a token with 4003 and revokes; needs the claim admin.",
    },
    EndpointDoc {
        method: "GET",
        path: "/metrics",
        summary: "The same and more for Prometheus.",
    },
    EndpointDoc {
        method: "GET",
        path: "/healthz",
        summary: "200 while the process lives.",
    },
    EndpointDoc {
        method: "GET",
        path: "/readyz",
        summary: "200 while it can serve, else 503 and why.",
    },
];

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> SettingDoc {
    SettingDoc {
        name,
        default,
        meaning,
    }
}

/// Every setting that exists, in the order of the command line's help.
pub const SETTINGS: &[SettingDoc] = &[
    setting("addr", "127.0.0.1:3000", "Where it listens."),
    setting(
        "admin-addr",
        "none: on addr",
        "A plain HTTP listener of its own for /metrics, /healthz, /readyz and /api/*, which addr then does not answer.",
    ),
    setting(
        "config",
        "none",
        "A TOML file; its keys are the names of the flags, without the --.",
    ),
    setting(
        "node",
        "host name and port",
        "What this gateway is called among the gateways, in ready and in /stats: 1 to 64 letters, digits, '.', '_' and '-'.",
    ),
    setting(
        "backbone",
        "memory",
        "What numbers, keeps and replays messages: memory, disk, or nats (any number of gateways on NATS JetStream).",
    ),
    setting("data-dir", "data", "Where disk keeps its log."),
    setting(
        "fsync",
        "always",
        "When disk brings its log to the disk: always (before every ack, one for all who wait), or an interval such as 100ms.",
    ),
    setting(
        "nats-url",
        "nats://127.0.0.1:4222",
        "Comma-separated addresses of NATS servers, nats:// or tls://, with user:password@ where they need it.",
    ),
    setting("nats-creds", "none", "A file with NATS credentials."),
    setting(
        "nats-replicas",
        "1",
        "On how many NATS servers each message is kept, at most 5.",
    ),
    setting(
        "nats-partitions",
        "1",
        "JetStream streams that topics are spread over, at most 64; the same on every gateway, and from the beginning.",
    ),
    setting(
        "revocation-ttl",
        "720h",
        "How long all gateways on NATS remember what was revoked: at least as long as a token lives.",
    ),
    setting(
        "auth",
        "demo",
        "demo: any non-empty token is that user, and private.{user} is theirs alone. jwt: signed tokens say who it is and which topics.",
    ),
    setting(
        "jwt-secret",
        "none",
        "HS256 secret of at least 32 bytes; safer in the environment than as a flag.",
    ),
    setting(
        "jwt-public-key",
        "none",
        "PEM file with the public key of the issuer: RS256, ES256 or EdDSA, by its kind.",
    ),
    setting(
        "jwks-url",
        "none",
        "Address of the issuer's key set, https, or http on this machine.",
    ),
    setting("jwt-issuer", "none", "The only iss that is believed."),
    setting(
        "jwt-audience",
        "none",
        "The name of this gateway, which aud must hold.",
    ),
    setting(
        "jwt-leeway",
        "0",
        "How far the issuer's clock may be off, at most 1m.",
    ),
    setting(
        "tls-cert",
        "none",
        "A PEM file with the certificate and its chain; https and wss instead of http and ws.",
    ),
    setting(
        "tls-key",
        "none",
        "A PEM file with the certificate's private key.",
    ),
    setting(
        "allowed-origins",
        "same-host",
        "Pages that may connect: comma-separated exact origins, and same-host for the gateway's own, such as /docs; * allows all. A request without Origin is allowed.",
    ),
    setting(
        "demo-endpoints",
        "on with demo auth",
        "Whether GET /demo/publish/{topic} and POST /demo/faults answer.",
    ),
    setting(
        "demo-feed",
        "false",
        "With demo-endpoints: publishes plausible prices, sensor values and alerts twice a second, to have something to watch.",
    ),
    setting(
        "max-message-bytes",
        "64KiB",
        "The largest message a client may send.",
    ),
    setting("max-topics", "1024", "Subscriptions of one connection."),
    setting(
        "max-connections",
        "0 (no limit)",
        "Sockets open at once; refuses with 503 above it.",
    ),
    setting(
        "max-connections-per-address",
        "0 (no limit)",
        "Sockets open at once from one IPv4 address or IPv6 /64; refuses with 503 above it.",
    ),
    setting(
        "max-pending",
        "16384",
        "Sockets that are not set up yet, HTTP included; more are dropped. 0 is no limit.",
    ),
    setting(
        "send-queue-bytes",
        "1MiB",
        "Bytes waiting for one connection before it is closed with 4108.",
    ),
    setting(
        "setup-timeout",
        "10s",
        "A valid setup or resume must come within this time; so must a request's head.",
    ),
    setting(
        "message-timeout",
        "30s",
        "A message or an HTTP request that has begun must come whole within this time.",
    ),
    setting(
        "ping-interval",
        "25s",
        "Silence after which a connection is pinged.",
    ),
    setting(
        "pong-timeout",
        "8s",
        "Silence after a ping that ends the connection.",
    ),
    setting(
        "session-ttl",
        "120s",
        "How long a session can be resumed after its socket is gone.",
    ),
    setting("dedup-ttl", "300s", "How long a messageId is remembered."),
    setting(
        "dedup-bytes",
        "64MiB",
        "Memory for remembered messageIds in all.",
    ),
    setting(
        "history-size",
        "1024",
        "Messages kept per topic for replay.",
    ),
    setting(
        "history-ttl",
        "300s",
        "How long a message is kept for replay.",
    ),
    setting(
        "history-bytes",
        "256MiB",
        "Memory for kept messages in all; with disk, the size of the log.",
    ),
    setting(
        "publish-rate",
        "0 (no limit)",
        "Publishes per second of one connection, and of one user over HTTP, with a burst of twice that.",
    ),
    setting(
        "slo-target",
        "50ms",
        "A delivery should take at most this long from accept to socket write.",
    ),
    setting(
        "slo-objective",
        "0.99",
        "This share of deliveries must; also written 99%.",
    ),
    setting("drain-timeout", "30s", "How long a stop may take."),
    setting(
        "log",
        "info",
        "What is logged: a level, or a tracing filter such as micro_socket=debug.",
    ),
    setting("log-format", "text", "text or json."),
    setting(
        "otlp-endpoint",
        "none",
        "An OpenTelemetry collector for traces, such as http://127.0.0.1:4318; needs a build with the feature otlp.",
    ),
    setting(
        "otlp-sample",
        "0.01",
        "This share of connections, publishes and requests is traced; also written 1%.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn examples_hold_only_documented_fields() {
        for frame in FRAMES {
            let value: serde_json::Value = serde_json::from_str(frame.example).unwrap();
            let members: BTreeSet<_> = value
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            let known: BTreeSet<_> = frame
                .fields
                .iter()
                .map(|f| f.name)
                .chain(["type"])
                .collect();
            assert_eq!(value["type"], frame.name);
            assert!(members.is_subset(&known), "{}: {members:?}", frame.name);
            for field in frame.fields.iter().filter(|field| field.required) {
                assert!(
                    members.contains(field.name),
                    "{} lacks {}",
                    frame.name,
                    field.name
                );
            }
        }
    }
}
