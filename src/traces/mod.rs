//! Traces: how a request, a publish or a connection spent its time, for an OpenTelemetry collector.
//!
//! Compiled in with the feature `otlp` alone. Without it, or without a collector, every question here is
//! answered by `None` and costs at most a branch. With one, what is not sampled costs a roll of the dice.
//!
//! Uses: nothing.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod on;
#[cfg(feature = "otlp")]
mod post;

#[cfg(not(feature = "otlp"))]
pub use off::{Span, Traces};
#[cfg(feature = "otlp")]
pub use on::{Span, Traces};

/// Where traces go, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// An OTLP/HTTP endpoint, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// How many of a million connections, publishes and requests are traced.
    pub of_a_million: u32,
}
