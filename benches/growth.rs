//! What must not grow: the cost of a delivery with its subscribers, of a publish with what else is there.

use crate::Outcome;
use crate::fanout::{self, Beside};
use crate::options::Options;
use crate::peer::Peer;
use crate::plan::Plan;
use crate::report::{Measure, Results};

const ROW: &str = "growth";

/// CPU for each delivery by the number of subscribers.
pub const SUBSCRIBERS: [(usize, Measure); 4] = [
    (100, Measure::new("CPU us/delivery, 100 subscribers", 2)),
    (1_000, Measure::new("CPU us/delivery, 1,000 subscribers", 2)),
    (
        10_000,
        Measure::new("CPU us/delivery, 10,000 subscribers", 2),
    ),
    (
        19_000,
        Measure::new("CPU us/delivery, 19,000 subscribers", 2),
    ),
];

/// CPU for each publish by what else is there.
pub const BESIDE: [(Beside, Measure); 3] = [
    (
        Beside {
            idle: 0,
            thousands_of_topics: 0,
        },
        Measure::new("CPU us/publish, 1 topic in all", 2),
    ),
    (
        Beside {
            idle: 0,
            thousands_of_topics: 1_000,
        },
        Measure::new("CPU us/publish, 1,000,000 other topics", 2),
    ),
    (
        Beside {
            idle: 18_000,
            thousands_of_topics: 0,
        },
        Measure::new("CPU us/publish, 18,000 idle connections", 2),
    ),
];

/// How many there are of both.
pub const STEPS: usize = SUBSCRIBERS.len() + BESIDE.len();

/// Measures one of both.
pub fn measure(step: usize, peer: &Peer, options: &Options, results: &mut Results) -> Outcome<()> {
    let times = options.times();
    if let Some((subscribers, measure)) = SUBSCRIBERS.get(step) {
        let plan = Plan::closed(1, options.size(*subscribers), 1, 1);
        let measured = fanout::measure(peer, plan, Beside::default(), times)?;
        results.check(ROW, &peer.name, &measured);
        results.add(ROW, *measure, &peer.name, measured.cpu_delivery);
    } else {
        let (beside, measure) = BESIDE[step - SUBSCRIBERS.len()];
        let beside = Beside {
            idle: options.size(beside.idle),
            thousands_of_topics: options.size(beside.thousands_of_topics),
        };
        let plan = Plan::closed(1, 1, options.size(50), 16);
        let measured = fanout::measure(peer, plan, beside, times)?;
        results.check(ROW, &peer.name, &measured);
        results.add(ROW, measure, &peer.name, measured.cpu_ack);
    }
    Ok(())
}
