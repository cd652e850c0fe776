//! Scenarios of what the gateway does every day: it delivers, to all and once, and only to those who
//! may have it.

use super::run::Run;
use super::{Act, Role, Scenario, TopicOf, Until, Verdict, nothing, step};
use crate::protocol::{AckStatus, ErrorCode};

const fn enter(role: Role, subscribed: bool) -> Act {
    Act::Enter {
        role,
        user: role,
        subscribed,
    }
}

const fn publish(role: Role, first: u32, count: u32) -> Act {
    Act::Publish {
        role,
        first,
        count,
        bytes: 0,
    }
}

pub(super) static FAN_OUT: Scenario = Scenario {
    id: "fan-out",
    title: "Fan-out",
    watch: "A publishes five messages; B and C subscribe. Watch the same five arrive at both, in the same order.",
    roles: 3,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A, B and C connect; B and C subscribe",
            &[enter(0, false), enter(1, true), enter(2, true)],
            &[Until::Ready(0), Until::Ready(1), Until::Ready(2)],
        ),
        step(
            "A publishes five messages",
            &[publish(0, 1, 5)],
            &[Until::Acked(0, 5)],
        ),
        step(
            "B and C receive them",
            &[],
            &[Until::Got(1, 5), Until::Got(2, 5)],
        ),
    ],
    verdict: |run| {
        let counts = [1, 2].map(|role| run.record(role).counts);
        let good = counts.iter().all(|c| c.received == 5 && c.are_clean());
        let words = if good {
            "B and C each got 5 of 5, in order: no gap, no double.".to_owned()
        } else {
            let [b, c] = counts.map(|c| format!("{} of 5 ({})", c.received, c.words()));
            format!("B got {b}, C got {c}.")
        };
        Verdict::new(good, words)
    },
};

pub(super) static DEDUP: Scenario = Scenario {
    id: "dedup",
    title: "Dedup",
    watch: "One messageId is published three times, the third time by the same user on another socket. Watch it arrive once, and every answer name the same place.",
    roles: 2,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A connects and subscribes; B connects as the same user",
            &[
                enter(0, true),
                Act::Enter {
                    role: 1,
                    user: 0,
                    subscribed: false,
                },
            ],
            &[Until::Ready(0), Until::Ready(1)],
        ),
        step("A publishes", &[publish(0, 1, 1)], &[Until::Acked(0, 1)]),
        step(
            "A publishes the same again",
            &[publish(0, 1, 1)],
            &[Until::Acked(0, 2)],
        ),
        step("B does too", &[publish(1, 1, 1)], &[Until::Acked(1, 1)]),
        step(
            "Another message follows, so that a second copy would be seen",
            &[publish(1, 2, 1)],
            &[Until::Acked(1, 2), Until::Got(0, 2)],
        ),
    ],
    verdict: |run| {
        let acks = [
            &run.facts[0].acks[0],
            &run.facts[0].acks[1],
            &run.facts[1].acks[0],
        ];
        let [first, again, elsewhere] = acks;
        let counts = run.record(0).counts;
        let good = first.status == AckStatus::Ok
            && [again, elsewhere]
                .iter()
                .all(|a| a.status == AckStatus::Duplicate && a.seq_no == first.seq_no)
            && counts.received == 2
            && counts.are_clean();
        let [a, b, c] = acks.map(|ack| format!("{} at #{}", ack.status.as_str(), ack.seq_no));
        let words = format!(
            "First answer: {a}; second: {b}; B's: {c}. A received it {}.",
            if good { "once" } else { "not once" }
        );
        Verdict::new(good, words)
    },
};

pub(super) static DENIED: Scenario = Scenario {
    id: "denied",
    title: "ACL denied",
    watch: "With demo auth, topics that begin with private.{user} are that user's alone. Watch B be refused one of A's, to read and to write, while A uses it.",
    roles: 2,
    topic: TopicOf::Private,
    hindrance: nothing,
    steps: &[
        step(
            "A and B connect",
            &[enter(0, false), enter(1, false)],
            &[Until::Ready(0), Until::Ready(1)],
        ),
        step(
            "A subscribes a private topic of its own",
            &[Act::Subscribe {
                role: 0,
                from_start: false,
            }],
            &[Until::Subscribed(0)],
        ),
        step(
            "B tries to subscribe it, and to publish to it",
            &[
                Act::Subscribe {
                    role: 1,
                    from_start: false,
                },
                publish(1, 1, 1),
            ],
            &[Until::Refused(1, 2)],
        ),
        step(
            "A publishes to it",
            &[publish(0, 2, 1)],
            &[Until::Acked(0, 1), Until::Got(0, 1)],
        ),
    ],
    verdict: |run| {
        let errors = &run.facts[1].errors;
        let denied = errors.iter().filter(|e| e.code == ErrorCode::AclDenied);
        let denied = denied.count();
        let got = [0, 1].map(|role| run.record(role).counts.received);
        let words = format!(
            "ACL_DENIED on {} for B: {denied} of 2 tries, to subscribe and to publish. A got {}, B got {}.",
            run.topic(),
            got[0],
            got[1],
        );
        Verdict::new(denied == 2 && got == [1, 0], words)
    },
};

pub(super) static LATE: Scenario = Scenario {
    id: "late",
    title: "Late joiner",
    watch: "B comes when five messages have passed, and asks for all with lastSeq 0. Watch the replay run into what is live.",
    roles: 2,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A connects and publishes five messages",
            &[enter(0, false)],
            &[Until::Ready(0)],
        ),
        step("They are kept", &[publish(0, 1, 5)], &[Until::Acked(0, 5)]),
        step("B connects", &[enter(1, false)], &[Until::Ready(1)]),
        step(
            "B subscribes from the beginning and gets the replay",
            &[Act::Subscribe {
                role: 1,
                from_start: true,
            }],
            &[Until::Subscribed(1), Until::Got(1, 5)],
        ),
        step(
            "A publishes a sixth message",
            &[publish(0, 6, 1)],
            &[Until::Got(1, 6)],
        ),
    ],
    verdict: |run| came_back(run, 1, 6, 5, "B joined late: "),
};

/// Whether a role's return was whole: it has everything, so much of it replayed.
pub(super) fn came_back(run: &Run, role: Role, all: u64, missed: u64, words: &str) -> Verdict {
    let record = run.record(role);
    let back = record.last_return;
    let good = back.is_some_and(|back| back.recovered && back.replayed == missed)
        && record.counts.received == all
        && record.counts.are_clean();
    let back = back.map_or_else(|| "no position was answered".to_owned(), |b| b.words());
    let got = record.counts.received;
    let words = format!(
        "{words}{back}; {got} of {all} in all, {}.",
        record.counts.words()
    );
    Verdict::new(good, words)
}
