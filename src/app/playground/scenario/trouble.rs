//! Scenarios of what happens when something goes wrong, and how it goes on.

use super::delivery::came_back;
use super::{Act, Role, Scenario, Step, TopicOf, Until, Verdict, nothing, step};

const fn enter(role: Role, subscribed: bool) -> Act {
    Act::Enter {
        role,
        user: role,
        subscribed,
    }
}

const fn publish(role: Role, first: u32, count: u32, bytes: usize) -> Act {
    Act::Publish {
        role,
        first,
        count,
        bytes,
    }
}

pub(super) static CUT_AND_RESUME: Scenario = Scenario {
    id: "resume",
    title: "Cut and resume",
    watch: "A's connection is cut without a close frame, and B goes on publishing. Watch A resume from its own position and miss nothing.",
    roles: 2,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A and B connect; A subscribes",
            &[enter(0, true), enter(1, false)],
            &[Until::Ready(0), Until::Ready(1)],
        ),
        step(
            "B publishes two messages",
            &[publish(1, 1, 2, 0)],
            &[Until::Acked(1, 2), Until::Got(0, 2)],
        ),
        step("A is cut", &[Act::Cut(0)], &[Until::Closed(0)]),
        step(
            "B publishes five more",
            &[publish(1, 3, 5, 0)],
            &[Until::Acked(1, 7)],
        ),
        step(
            "A connects and resumes",
            &[Act::Resume { role: 0, of: 0 }],
            &[Until::Ready(0), Until::Got(0, 7)],
        ),
    ],
    verdict: |run| {
        let code = run.facts[0].closes.first().copied().unwrap_or(0);
        let words = format!("A was cut ({code}). Then: ");
        came_back(run, 0, 7, 5, &words)
    },
};

pub(super) static SLOW: Scenario = Scenario {
    id: "slow",
    title: "Slow consumer",
    watch: "The gateway treats A as if it did not read: what A should get waits. Watch A be closed when too much waits, B lose nothing by it, and A catch up.",
    roles: 2,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A and B connect and subscribe",
            &[enter(0, true), enter(1, true)],
            &[Until::Ready(0), Until::Ready(1)],
        ),
        step(
            "Nothing more is written to A",
            &[Act::Stall(0)],
            &[Until::Inflicted(0)],
        ),
        Step {
            words: "B publishes 1.2 MB in 30 messages and gets them; A's queue fills",
            acts: &[publish(1, 1, 30, 40_000)],
            until: &[Until::Acked(1, 30), Until::Got(1, 30), Until::Closed(0)],
            within: 30,
        },
        step(
            "A connects and resumes",
            &[Act::Resume { role: 0, of: 0 }],
            &[Until::Ready(0), Until::Got(0, 30)],
        ),
    ],
    verdict: |run| {
        let code = run.facts[0].closes.first().copied().unwrap_or(0);
        let others = run.record(1).counts;
        let words = format!(
            "A was closed with {code}{}; B got {} of 30, {}. A came back: ",
            if code == 4108 { " slow consumer" } else { "" },
            others.received,
            others.words(),
        );
        let back = came_back(run, 0, 30, 30, &words);
        let good = back.good && code == 4108 && others.received == 30 && others.are_clean();
        Verdict::new(good, back.words)
    },
};

pub(super) static TAKE_OVER: Scenario = Scenario {
    id: "take-over",
    title: "Take-over",
    watch: "B resumes A's session while A is still there, as a phone does that changed networks. Watch A be closed and B go on.",
    roles: 2,
    topic: TopicOf::Fresh,
    hindrance: nothing,
    steps: &[
        step(
            "A connects and subscribes",
            &[enter(0, true)],
            &[Until::Ready(0)],
        ),
        step(
            "A publishes a message and gets it",
            &[publish(0, 1, 1, 0)],
            &[Until::Acked(0, 1), Until::Got(0, 1)],
        ),
        step(
            "B connects and resumes A's session, with A's token",
            &[Act::Resume { role: 1, of: 0 }],
            &[Until::Ready(1), Until::Closed(0)],
        ),
        step(
            "B publishes a message and gets it",
            &[publish(1, 2, 1, 0)],
            &[Until::Acked(1, 1), Until::Got(1, 1)],
        ),
    ],
    verdict: |run| {
        let code = run.facts[0].closes.first().copied().unwrap_or(0);
        let holds =
            run.facts[1].session == run.facts[0].session && run.facts[1].ready == Some(true);
        let counts = run.record(1).counts;
        let words = format!(
            "A closed with {code}; B {} the session and got the next message, {}.",
            if holds { "holds" } else { "does not hold" },
            counts.words(),
        );
        let good = code == 4009 && holds && counts.received == 1 && counts.are_clean();
        Verdict::new(good, words)
    },
};
