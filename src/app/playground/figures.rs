//! What passed, in figures: frames a second, and for each topic how many messages, how often, and the last.

use std::collections::BTreeMap;

/// Seconds that are looked back.
pub const SECONDS: usize = 60;
/// Topics counted one by one; the rest is counted together.
pub const MAX_TOPICS: usize = 200;
/// Bytes of a topic's last value that are kept.
const MAX_VALUE: usize = 160;

/// Counts by the second, for the last [`SECONDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerSecond {
    /// The newest second that was counted, since 1970.
    newest: i64,
    counts: [u32; SECONDS],
}

impl Default for PerSecond {
    fn default() -> Self {
        Self {
            newest: 0,
            counts: [0; SECONDS],
        }
    }
}

impl PerSecond {
    fn add(&mut self, at_ms: f64) {
        let second = second_of(at_ms);
        if second > self.newest {
            let passed = second.saturating_sub(self.newest);
            for gone in 0..passed.min(SECONDS as i64) {
                self.counts[place(second - gone)] = 0;
            }
            self.newest = second;
        }
        if self.newest - second < SECONDS as i64 {
            let count = &mut self.counts[place(second)];
            *count = count.saturating_add(1);
        }
    }

    /// The counts of the seconds before this moment, the oldest first. The second that is still under
    /// way is left out: it would always look like a fall.
    #[must_use]
    pub fn before(&self, now_ms: f64) -> [u32; SECONDS] {
        let now = second_of(now_ms);
        std::array::from_fn(|at| {
            let second = now - (SECONDS - at) as i64;
            let kept = second <= self.newest && self.newest - second < SECONDS as i64;
            if kept { self.counts[place(second)] } else { 0 }
        })
    }
}

fn second_of(at_ms: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "dates fit by far")]
    let second = (at_ms / 1000.0).floor() as i64;
    second
}

fn place(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

/// A topic in figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopicFigures {
    /// Messages that came.
    pub count: u64,
    /// The number of the last.
    pub seq_no: u64,
    /// Its data, cut where it is long.
    pub last: String,
    /// When it came, in milliseconds since 1970.
    pub at: f64,
    /// How often they come.
    pub rate: PerSecond,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Frames to the gateway.
    pub sent: PerSecond,
    /// Frames from the gateway.
    pub received: PerSecond,
    topics: BTreeMap<String, TopicFigures>,
    uncounted: u64,
}

impl Figures {
    /// The topics by name.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<String, TopicFigures> {
        &self.topics
    }

    /// Messages of topics beyond those that are counted one by one.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.uncounted
    }

    pub(super) fn sent(&mut self, at_ms: f64) {
        self.sent.add(at_ms);
    }

    pub(super) fn received(&mut self, at_ms: f64) {
        self.received.add(at_ms);
    }

    pub(super) fn message(&mut self, at_ms: f64, topic: &str, seq_no: u64, data: &str) {
        if !self.topics.contains_key(topic) {
            if self.topics.len() >= MAX_TOPICS {
                self.uncounted += 1;
                return;
            }
            self.topics
                .insert(topic.to_owned(), TopicFigures::default());
        }
        if let Some(figures) = self.topics.get_mut(topic) {
            figures.count += 1;
            figures.seq_no = seq_no;
            figures.at = at_ms;
            figures.last.clear();
            figures
                .last
                .push_str(&data[..data.floor_char_boundary(MAX_VALUE)]);
            if data.len() > MAX_VALUE {
                figures.last.push('…');
            }
            figures.rate.add(at_ms);
        }
    }
}

/// A point of a picture: its place between the left edge, 0, and the right one, 1; and its value.
pub type Point = (f64, f64);

/// Counts of seconds that follow each other, from edge to edge.
#[must_use]
pub fn evenly(counts: &[u32]) -> Vec<Point> {
    let last = (counts.len().max(2) - 1) as f64;
    let point = |(at, count): (usize, &u32)| (at as f64 / last, f64::from(*count));
    counts.iter().enumerate().map(point).collect()
}

/// The path of lines through the points of each stretch, over a field of this size; the highest value
/// touches the top. A field of zeros lies at the bottom.
#[must_use]
pub fn line(stretches: &[Vec<Point>], width: f64, height: f64) -> String {
    let values = stretches.iter().flatten().map(|(_, value)| *value);
    let most = values.fold(f64::MIN_POSITIVE, f64::max);
    let mut path = String::new();
    for stretch in stretches {
        for (at, (place, value)) in stretch.iter().enumerate() {
            let (x, y) = (width * place, height - value / most * height);
            let verb = if at == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{verb}{x:.1} {y:.1}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: f64 = 1_790_000_000_000.0;

    #[test]
    fn seconds_are_counted_and_forgotten() {
        let mut rate = PerSecond::default();
        for ms in [0.0, 10.0, 999.0, 1000.0, 3500.0] {
            rate.add(T0 + ms);
        }
        let last = |rate: &PerSecond, ms: f64| rate.before(T0 + ms)[SECONDS - 4..].to_vec();
        assert_eq!(last(&rate, 4000.0), [3, 1, 0, 1]);
        assert_eq!(last(&rate, 3999.0), [0, 3, 1, 0]);
        assert_eq!(rate.before(T0 + 63_500.0)[0], 1);
        assert_eq!(rate.before(T0 + 90_000.0), [0; SECONDS]);
        rate.add(T0 + 1_000_000.0);
        assert_eq!(rate.before(T0 + 1_001_000.0).iter().sum::<u32>(), 1);
        // A clock that was set back counts nothing twice and breaks nothing.
        rate.add(T0);
        assert_eq!(rate.before(T0 + 1_001_000.0).iter().sum::<u32>(), 1);
    }

    #[test]
    fn topics_are_counted_up_to_an_end() {
        let mut figures = Figures::default();
        for n in 0..MAX_TOPICS as u64 + 5 {
            figures.message(T0, &format!("t{n}"), n, "1");
        }
        figures.message(T0 + 1.0, "t0", 9, &"ü".repeat(MAX_VALUE));
        assert_eq!(
            (figures.topics().len(), figures.uncounted()),
            (MAX_TOPICS, 5)
        );
        let t0 = &figures.topics()["t0"];
        assert_eq!((t0.count, t0.seq_no, t0.at), (2, 9, T0 + 1.0));
        assert!(t0.last.ends_with("ü…") && t0.last.len() <= MAX_VALUE + 3);
    }

    #[test]
    fn a_line_spans_its_field() {
        let whole = |counts: &[u32]| line(&[evenly(counts)], 100.0, 20.0);
        assert_eq!(whole(&[0, 5, 10]), "M0.0 20.0L50.0 10.0L100.0 0.0");
        assert_eq!(whole(&[0, 0]), "M0.0 20.0L100.0 20.0");
        assert_eq!(whole(&[]), "");
        let torn = [vec![(0.5, 1.0)], vec![(0.7, 2.0), (0.8, 0.0)]];
        assert_eq!(line(&torn, 10.0, 20.0), "M5.0 10.0M7.0 0.0L8.0 20.0");
    }
}
