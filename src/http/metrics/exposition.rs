//! Prometheus' text format, version 0.0.4, as it grows.

use std::fmt::{Display, Write as _};

use crate::histogram::{Distribution, LATENCY_BOUNDS_US};

/// The text. Label values need no escaping: all of them are known beforehand.
#[derive(Default)]
pub(super) struct Exposition(pub(super) String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}");
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, text: impl Display, value: impl Display) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{text}\"}} {value}");
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, value);
    }

    /// A gauge of 1 whose label is what it says.
    pub(super) fn info(&mut self, name: &str, help: &str, label: &str, text: &str) {
        self.family(name, "gauge", help);
        self.labelled(name, label, text, 1);
    }

    /// One counter for each value of a label.
    pub(super) fn counters<T: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (T, u64)>,
    ) {
        self.family(name, "counter", help);
        for (text, count) in counts {
            self.labelled(name, label, text, count);
        }
    }

    /// A histogram of seconds, of values in nanoseconds.
    pub(super) fn latency(&mut self, name: &str, help: &str, latency: &Distribution) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for bound in LATENCY_BOUNDS_US {
            let count = latency.within(bound * 1000);
            self.labelled(&bucket, "le", bound as f64 / 1e6, count);
        }
        let count = latency.count();
        self.labelled(&bucket, "le", "+Inf", count);
        self.sample(&format!("{name}_sum"), latency.sum() / 1e9);
        self.sample(&format!("{name}_count"), count);
    }
}
