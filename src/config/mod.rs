//! Settings: where each value comes from, what it may be, and which combinations are refused.
//!
//! The flag wins over the environment, that over the TOML file, that over the default.
//! A new setting is a line in [`SETTINGS`], a field of [`Settings`], and a line each in
//! [`Settings::resolve`] and [`Settings::text`]; tests fail when one of them is forgotten.
//!
//! Uses: protocol, token, auth, slo, verify.

mod cli;
mod nats;
mod node;
mod origins;
mod raw;
mod renewal;
mod tls;
mod token;
mod traces;
mod trust;
mod units;
mod verify;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

pub use cli::{Exit, Task, parse};
pub use nats::{NatsServers, NatsSettings};
pub use node::NodeName;
pub use origins::AllowedOrigins;
pub use raw::RawSettings;
pub use tls::TlsFiles;

use crate::auth::Trust;
use crate::protocol::reference::SETTINGS;
use crate::slo::{Share, Slo};
use raw::Reader;
use units::{format_duration, format_size};

/// The settings of a running gateway. All of them are valid and fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens. Default 127.0.0.1:3000, or cargo-leptos's site address.
    pub addr: SocketAddr,
    /// Where operators come in; `None` for the same address, the default.
    pub admin_addr: Option<SocketAddr>,
    /// What it is called among the gateways. Default: the host's name and the port.
    pub node: NodeName,
    /// What numbers, keeps and replays messages. Default memory.
    pub backbone: Backbone,
    /// Where the disk backbone keeps its log. Default `data`.
    pub data_dir: PathBuf,
    /// When the disk backbone brings its log to the disk: `None` is before every answer, the
    /// default; otherwise this often.
    pub fsync_interval: Option<Duration>,
    /// What the NATS backbone works with.
    pub nats: NatsSettings,
    /// How a token becomes a user. Default demo.
    pub auth: Auth,
    /// Which tokens are believed; `None` exactly with demo auth.
    pub trust: Option<Trust>,
    /// Where the certificate of https and wss is; `None` for plain http and ws, the default.
    pub tls: Option<TlsFiles>,
    /// Pages that may connect. Default: those of the same host.
    pub allowed_origins: AllowedOrigins,
    /// Whether `GET /demo/publish/{topic}` and `POST /demo/faults` answer. Default: with demo auth.
    pub demo_endpoints: bool,
    /// Whether the gateway publishes something to watch by itself. Default: no.
    pub demo_feed: bool,
    /// The largest message a client may send, in bytes. Default 64 KiB.
    pub max_message_bytes: usize,
    /// Subscriptions of one connection, at least 1. Default 1024.
    pub max_topics: usize,
    /// Sockets open at once; `None` is no limit, the default.
    pub max_connections: Option<NonZeroUsize>,
    /// Sockets open at once from one address; `None` is no limit, the default.
    pub max_connections_per_address: Option<NonZeroUsize>,
    /// Sockets that are not set up yet; `None` is no limit. Default 16384.
    pub max_pending: Option<NonZeroUsize>,
    /// Bytes that may wait for one connection. Default 1 MiB.
    pub send_queue_bytes: usize,
    /// A valid `setup` must come within this time. Default 10 s.
    pub setup_timeout: Duration,
    /// A message or request that has begun must come whole within this time. Default 30 s.
    pub message_timeout: Duration,
    /// Silence after which a connection is pinged. Default 25 s.
    pub ping_interval: Duration,
    /// Silence after a ping that ends the connection. Default 8 s.
    pub pong_timeout: Duration,
    /// How long a session can be resumed after its socket is gone. Default 120 s.
    pub session_ttl: Duration,
    /// How long a messageId is remembered. Default 300 s.
    pub dedup_ttl: Duration,
    /// Memory for remembered messageIds in all, in bytes. Default 64 MiB.
    pub dedup_bytes: usize,
    /// Messages kept per topic for replay, at least 1. Default 1024.
    pub history_size: usize,
    /// How long a message is kept for replay. Default 300 s.
    pub history_ttl: Duration,
    /// Memory for kept messages in all, or the log's size on disk, in bytes. Default 256 MiB.
    pub history_bytes: usize,
    /// Publishes per second of one connection, and of one user over HTTP; `None` is no limit, the default.
    pub publish_rate: Option<NonZeroU32>,
    /// How deliveries are judged. Default 99 of 100 within 50 ms.
    pub slo: Slo,
    /// How long a stop may take; zero closes at once. Default 30 s.
    pub drain_timeout: Duration,
    /// A valid tracing filter. Default `info`.
    pub log: String,
    /// How a log line is written. Default text.
    pub log_format: LogFormat,
    /// The collector that is told of traces; none by default.
    pub otlp_endpoint: Option<String>,
    /// How many of a million connections, publishes and requests are traced. Default 10,000.
    pub otlp_sample: u32,
}

/// Makes an enum of the words a setting may have.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($text, Self::$word)),+];

            /// The word in settings.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$word => $text),+ } }
        }
    };
}

words! {
    /// What numbers, keeps and replays messages.
    Backbone {
        /// In this process; gone when it ends.
        Memory = "memory",
        /// In a log in `data-dir`.
        Disk = "disk",
        /// In JetStream, for any number of gateways.
        Nats = "nats"
    }
}

words! {
    /// How a token becomes a user.
    Auth {
        /// Any non-empty token is that user.
        Demo = "demo",
        /// Signed tokens say who it is and which topics.
        Jwt = "jwt"
    }
}

words! {
    /// How a log line is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json"
    }
}

/// Timeouts below this close healthy connections; above a day they are as good as none.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
/// Below, an fsync follows the other; above, a power cut takes back too much to call it kept.
const FSYNC_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(60);
/// What a delivery may be asked to take.
const SLO_TARGETS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);
/// The smallest holds any frame without a payload; the largest is what one peer may make us hold.
const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 128..=64 << 20;

impl Settings {
    /// Makes settings of what was given; `site_addr` is the default address where the development
    /// server names one.
    ///
    /// # Errors
    /// Every problem, one line each, with the place the value came from and the mend.
    pub fn resolve(raw: &RawSettings, site_addr: Option<&str>) -> Result<Self, Vec<String>> {
        let mut read = Reader::new(raw);
        let auth = read.word("auth", Auth::WORDS, Auth::Demo);
        let demo_endpoints = read.switch("demo-endpoints", auth == Auth::Demo);
        let settings = Self {
            addr: read.addr("addr", site_addr.unwrap_or("127.0.0.1:3000")),
            admin_addr: read.own_addr("admin-addr"),
            node: read.value("node", || NodeName::HostAndPort, NodeName::parse),
            backbone: read.word("backbone", Backbone::WORDS, Backbone::Memory),
            data_dir: read.dir("data-dir", "data"),
            fsync_interval: read.fsync("fsync", FSYNC_INTERVALS),
            nats: read.nats(),
            auth,
            trust: read.trust(auth),
            tls: read.tls(),
            allowed_origins: read.origins("allowed-origins"),
            demo_endpoints,
            demo_feed: read.demo_feed(demo_endpoints),
            max_message_bytes: read.size("max-message-bytes", "64KiB", MESSAGE_BYTES),
            max_topics: read.count("max-topics", 1024, 1),
            max_connections: NonZeroUsize::new(read.count("max-connections", 0, 0)),
            max_connections_per_address: NonZeroUsize::new(read.count(
                "max-connections-per-address",
                0,
                0,
            )),
            max_pending: NonZeroUsize::new(read.count("max-pending", 16_384, 0)),
            send_queue_bytes: read.size("send-queue-bytes", "1MiB", 1024..=usize::MAX),
            setup_timeout: read.duration("setup-timeout", "10s", TIMEOUTS),
            message_timeout: read.duration("message-timeout", "30s", TIMEOUTS),
            ping_interval: read.duration("ping-interval", "25s", TIMEOUTS),
            pong_timeout: read.duration("pong-timeout", "8s", TIMEOUTS),
            session_ttl: read.duration("session-ttl", "120s", TIMEOUTS),
            dedup_ttl: read.duration("dedup-ttl", "300s", TIMEOUTS),
            dedup_bytes: read.size("dedup-bytes", "64MiB", 1024..=usize::MAX),
            history_size: read.count("history-size", 1024, 1),
            history_ttl: read.duration("history-ttl", "300s", TIMEOUTS),
            history_bytes: read.size("history-bytes", "256MiB", 1024..=usize::MAX),
            publish_rate: NonZeroU32::new(read.count("publish-rate", 0, 0)),
            slo: Slo {
                target: read.duration("slo-target", "50ms", SLO_TARGETS),
                objective: read.share("slo-objective", Share::DEFAULT),
            },
            drain_timeout: read.duration("drain-timeout", "30s", Duration::ZERO..=*TIMEOUTS.end()),
            log: read.filter("log", "info"),
            log_format: read.word("log-format", LogFormat::WORDS, LogFormat::Text),
            otlp_endpoint: read.collector("otlp-endpoint"),
            otlp_sample: read.sample("otlp-sample"),
        };
        read.finish().map(|()| settings)
    }

    /// What is allowed but deserves a line in the log.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.auth == Auth::Demo && !self.addr.ip().is_loopback() {
            warnings.push(format!(
                "auth is demo and {} can be reached from other machines: anyone there can be any user",
                self.addr
            ));
        }
        if let Some(admin) = self.admin_addr
            && !admin.ip().is_loopback()
        {
            warnings.push(format!(
                "admin-addr {admin} is plain HTTP and can be reached from other machines: keep it in a network of your own, tokens pass there in clear"
            ));
        }
        if let Some(trust) = &self.trust
            && trust.keys.is_set()
            && trust.rules.issuer.is_none()
        {
            warnings.push(
                "jwks-url without jwt-issuer believes every issuer whose keys are in that set; set jwt-issuer"
                    .to_owned(),
            );
        }
        if self.auth == Auth::Jwt && self.demo_endpoints {
            warnings.push(
                "demo-endpoints is on with auth jwt: whoever reaches the gateway publishes to any topic without a token, by GET /demo/publish/{topic}"
                    .to_owned(),
            );
        }
        for (name, bytes) in [
            ("send-queue-bytes", self.send_queue_bytes),
            ("history-bytes", self.history_bytes),
        ] {
            if bytes < self.max_message_bytes {
                warnings.push(format!(
                    "{name} ({}) is below max-message-bytes ({}): the largest messages do not fit",
                    format_size(bytes),
                    format_size(self.max_message_bytes)
                ));
            }
        }
        warnings
    }

    /// The settings as a TOML file that would lead to them again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        for setting in SETTINGS {
            if let Some(value) = self.text(setting.name) {
                // Only what TOML reads as it stands: not 007, and nothing beyond its numbers.
                let number = value.parse::<i64>();
                let is_bare = number.is_ok_and(|number| number.to_string() == value);
                let value = if is_bare || value.parse::<bool>().is_ok() {
                    value
                } else {
                    toml::Value::String(value).to_string()
                };
                let _ = writeln!(out, "{} = {value}", setting.name);
            }
        }
        out
    }

    /// One setting as it would be written, secrets left out; `None` for `config`, which is not a value,
    /// and for what is not set.
    fn text(&self, name: &str) -> Option<String> {
        Some(match name {
            "addr" => self.addr.to_string(),
            "admin-addr" => self.admin_addr?.to_string(),
            "node" => match &self.node {
                NodeName::Given(name) => name.clone(),
                NodeName::HostAndPort => return None,
            },
            "backbone" => self.backbone.as_str().to_owned(),
            "data-dir" => self.data_dir.display().to_string(),
            "fsync" => self
                .fsync_interval
                .map_or_else(|| "always".to_owned(), format_duration),
            "nats-url" | "nats-creds" | "nats-replicas" | "nats-partitions" | "revocation-ttl" => {
                return nats::text(&self.nats, name);
            }
            "auth" => self.auth.as_str().to_owned(),
            "jwt-secret" | "jwt-public-key" | "jwks-url" | "jwt-issuer" | "jwt-audience"
            | "jwt-leeway" => return trust::text(self.trust.as_ref(), name),
            "tls-cert" => self.tls.as_ref()?.cert.display().to_string(),
            "tls-key" => self.tls.as_ref()?.key.display().to_string(),
            "allowed-origins" => self.allowed_origins.text(),
            "demo-endpoints" => self.demo_endpoints.to_string(),
            "demo-feed" => self.demo_feed.to_string(),
            "max-message-bytes" => format_size(self.max_message_bytes),
            "max-topics" => self.max_topics.to_string(),
            "max-connections" => self
                .max_connections
                .map_or(0, NonZeroUsize::get)
                .to_string(),
            "max-connections-per-address" => self
                .max_connections_per_address
                .map_or(0, NonZeroUsize::get)
                .to_string(),
            "max-pending" => self.max_pending.map_or(0, NonZeroUsize::get).to_string(),
            "send-queue-bytes" => format_size(self.send_queue_bytes),
            "setup-timeout" => format_duration(self.setup_timeout),
            "message-timeout" => format_duration(self.message_timeout),
            "ping-interval" => format_duration(self.ping_interval),
            "pong-timeout" => format_duration(self.pong_timeout),
            "session-ttl" => format_duration(self.session_ttl),
            "dedup-ttl" => format_duration(self.dedup_ttl),
            "dedup-bytes" => format_size(self.dedup_bytes),
            "history-size" => self.history_size.to_string(),
            "history-ttl" => format_duration(self.history_ttl),
            "history-bytes" => format_size(self.history_bytes),
            "publish-rate" => self.publish_rate.map_or(0, NonZeroU32::get).to_string(),
            "slo-target" => format_duration(self.slo.target),
            "slo-objective" => self.slo.objective.to_string(),
            "drain-timeout" => format_duration(self.drain_timeout),
            "log" => self.log.clone(),
            "log-format" => self.log_format.as_str().to_owned(),
            "otlp-endpoint" => self.otlp_endpoint.clone()?,
            "otlp-sample" => traces::share(self.otlp_sample),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trust_tests;
