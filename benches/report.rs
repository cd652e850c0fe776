//! The tables, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::Faults;
use crate::fanout::Measured;
use crate::growth::{BESIDE, SUBSCRIBERS};
use crate::options::name_on;
use crate::rows::{self, ROWS};

/// Something that is measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measure {
    /// What, and in which unit.
    pub name: &'static str,
    /// Digits behind the point.
    pub digits: usize,
}

impl Measure {
    /// A measure.
    pub const fn new(name: &'static str, digits: usize) -> Self {
        Self { name, digits }
    }
}

/// Everything measured up to now.
#[derive(Default)]
pub struct Results {
    /// By row and measure in the order of their first value, then by peer, a value for each round.
    lines: Vec<Line>,
    /// Peers in the order of their first value.
    peers: Vec<String>,
    checked: u64,
    faults: Faults,
    broken: bool,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
}

struct Line {
    row: &'static str,
    measure: Measure,
    values: BTreeMap<String, Vec<f64>>,
}

impl Results {
    /// Adds a value of a round.
    pub fn add(&mut self, row: &'static str, measure: Measure, peer: &str, value: f64) {
        eprintln!(
            "{row}  {peer:<12} {:<28} {value:.*}",
            measure.name, measure.digits
        );
        if !self.peers.iter().any(|known| known == peer) {
            self.peers.push(peer.to_owned());
        }
        let known = self
            .lines
            .iter()
            .position(|line| line.row == row && line.measure == measure);
        let place = known.unwrap_or_else(|| {
            self.lines.push(Line {
                row,
                measure,
                values: BTreeMap::new(),
            });
            self.lines.len() - 1
        });
        let values = self.lines[place].values.entry(peer.to_owned());
        values.or_default().push(value);
    }

    /// Adds what was checked in a turn, and what went wrong.
    pub fn check(&mut self, row: &str, peer: &str, measured: &Measured) {
        let faults = measured.faults;
        self.checked += measured.checked;
        if !faults.none() {
            self.notes.push(format!("row {row}, {peer}: {faults:?}"));
        }
        self.faults.add(faults);
    }

    /// Notes that a turn did not come to an end.
    pub fn failed(&mut self, row: &str, peer: &str, why: &str) {
        eprintln!("{row}  {peer:<12} failed: {why}");
        self.notes.push(format!("row {row}, {peer}: {why}"));
        self.broken = true;
    }

    /// Whether every turn came to an end without a fault.
    pub fn is_clean(&self) -> bool {
        !self.broken && self.faults.none()
    }

    /// How many messages and acks were checked.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// What went wrong, in one line, then the notes.
    pub fn verdict(&self) -> String {
        let Faults {
            lost,
            disorder,
            wrong,
        } = self.faults;
        let mut text = format!("Lost: {lost}. Out of order: {disorder}. Wrong: {wrong}.\n");
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    fn values(&self, row: &str, measure: Measure, peer: &str) -> &[f64] {
        let line = self
            .lines
            .iter()
            .find(|line| line.row == row && line.measure == measure);
        line.and_then(|line| line.values.get(peer))
            .map_or(&[], Vec::as_slice)
    }

    /// All values: the median, and from least to most.
    pub fn table(&self) -> String {
        let mut text = format!("| | {} |\n|---|", self.peers.join(" | "));
        text.push_str(&"--:|".repeat(self.peers.len()));
        let mut last = "";
        for line in &self.lines {
            if line.row != last {
                last = line.row;
                let title = ROWS
                    .iter()
                    .find(|row| row.name == last)
                    .map_or("", |row| row.title);
                let _ = write!(
                    text,
                    "\n| **{last}. {title}** |{}",
                    " |".repeat(self.peers.len())
                );
            }
            let _ = write!(text, "\n| {} |", line.measure.name);
            for peer in &self.peers {
                let values = line.values.get(peer).map_or(&[][..], Vec::as_slice);
                let _ = write!(text, " {} |", spread(values, line.measure.digits));
            }
        }
        text.push('\n');
        text
    }

    /// How the gateways stand against their targets.
    pub fn ratios(&self, gateways: &[String]) -> String {
        let mut text = String::from("| row | ratio, in the same round | target |");
        for gateway in gateways {
            let _ = write!(text, " {gateway} |");
        }
        let _ = write!(text, "\n|---|---|---|{}", "--:|".repeat(gateways.len()));
        for (row, measure, against, target) in TARGETS {
            let mut cells = String::new();
            let mut any = false;
            for gateway in gateways {
                let own = self.values(row, *measure, gateway);
                let two = name_on(gateway, 2);
                let (own, others) = match against {
                    Against::Nobody => (own, None),
                    Against::Peer(peer) => (own, Some(self.values(row, *measure, peer))),
                    Against::Itself(other) => (own, Some(self.values(row, *other, gateway))),
                    Against::OneCore => (self.values(row, *measure, &two), Some(own)),
                };
                let ratios: Vec<f64> = match others {
                    None => own.to_vec(),
                    Some(others) => own
                        .iter()
                        .zip(others)
                        .map(|(own, other)| own / other)
                        .collect(),
                };
                any |= !ratios.is_empty();
                let digits = if others.is_some() { 2 } else { measure.digits };
                let _ = write!(cells, " {} |", spread(&ratios, digits));
            }
            if any {
                let against = match against {
                    Against::Nobody => String::new(),
                    Against::Peer(peer) => format!(" / {peer}"),
                    Against::Itself(other) => format!(" / {}", other.name),
                    Against::OneCore => ", 2 cores / 1 core".to_owned(),
                };
                let _ = write!(
                    text,
                    "\n| {row} | {}{against} | {target} |{cells}",
                    measure.name
                );
            }
        }
        text.push('\n');
        text
    }
}

enum Against {
    Nobody,
    Peer(&'static str),
    /// Another measure of the same gateway.
    Itself(Measure),
    /// The same gateway: two cores against one.
    OneCore,
}

use Against::{Itself, Nobody, OneCore, Peer};

/// Row, measure, against whom, what the ratio should be.
const TARGETS: &[(&str, Measure, Against, &str)] = &[
    ("A", rows::CPU, Peer("limit-1"), "at most 1.10"),
    ("A", rows::CPU, Peer("bun-native"), "at most 1"),
    ("A", rows::CPU, Peer("bun-loop"), "at most 1"),
    ("A", rows::DELIVERIES, OneCore, "more than 1"),
    ("B", rows::CPU, Peer("limit-64"), "at most 1.3"),
    ("B", rows::DELIVERIES, Peer("bun-native"), "at least 1.75"),
    ("B", rows::DELIVERIES, OneCore, "at least 1"),
    ("C", rows::CPU, Peer("limit-64"), "at most 1.15"),
    ("C", rows::DELIVERIES, Peer("bun-native"), "more than 1"),
    ("C", rows::DELIVERIES, OneCore, "more than 1"),
    ("D", rows::ACKS, Peer("nats"), "at least 1.5"),
    ("D", rows::ACKS, Peer("bun-native"), "more than 1"),
    ("D", rows::ACKS, OneCore, "at least 1"),
    ("E", rows::LATENCY[0], Peer("bun-native"), "at most 1"),
    ("E", rows::LATENCY[2], Peer("bun-native"), "at most 1"),
    ("E", rows::LATENCY[3], Peer("bun-native"), "at most 1"),
    ("E", rows::LATENCY[0], Peer("bun-loop"), "at most 1"),
    ("E", rows::LATENCY[2], Peer("bun-loop"), "at most 1"),
    ("E", rows::LATENCY[3], Peer("bun-loop"), "at most 1"),
    ("E", rows::LATENCY[2], OneCore, "at most 1"),
    ("F", rows::BYTES_CONNECTION, Nobody, "at most 1,000"),
    ("F", rows::BYTES_CONNECTION, Peer("bun-native"), "at most 1"),
    ("F", rows::CONNECTS, Peer("bun-native"), "at least 1"),
    ("F", rows::CONNECTS, Peer("bun-loop"), "at least 1"),
    ("G", rows::BYTES_SUBSCRIPTION, Nobody, "at most 24"),
    (
        "G",
        rows::BYTES_SUBSCRIPTION,
        Peer("bun-native"),
        "at most 1",
    ),
    ("G", rows::SECONDS, Peer("bun-native"), "at most 1"),
    ("growth", SUBSCRIBERS[0].1, Peer("limit-1"), "0.85 to 1.15"),
    ("growth", SUBSCRIBERS[1].1, Peer("limit-1"), "0.85 to 1.15"),
    ("growth", SUBSCRIBERS[2].1, Peer("limit-1"), "0.85 to 1.15"),
    ("growth", SUBSCRIBERS[3].1, Peer("limit-1"), "0.85 to 1.15"),
    (
        "growth",
        SUBSCRIBERS[3].1,
        Itself(SUBSCRIBERS[0].1),
        "at most 1.15",
    ),
    ("growth", BESIDE[1].1, Itself(BESIDE[0].1), "at most 1.15"),
    ("growth", BESIDE[2].1, Itself(BESIDE[0].1), "at most 1.15"),
];

/// The median, with the least and the most where there are several.
fn spread(values: &[f64], digits: usize) -> String {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
        return String::new();
    };
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    };
    if sorted.len() == 1 {
        format!("{median:.digits$}")
    } else {
        format!("**{median:.digits$}** ({least:.digits$}..{most:.digits$})")
    }
}
