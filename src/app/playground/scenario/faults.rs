//! Faults of the active client, and the two ways back.

use super::super::continuity::Counts;
use super::run::Run;
use super::{Act, Scenario, Step, TopicOf, Until, Verdict, step};
use crate::protocol::AckStatus;

/// A token that lives longer is not waited for, in seconds.
const MAX_EXPIRY: f64 = 120.0;

/// The faults, in the order of the page.
pub static FAULTS: [&Scenario; 6] = [&CUT, &STALL, &TWICE, &MALFORMED, &EXPIRE, &OFFLINE];

/// The ways back.
pub static RETURNS: [&Scenario; 2] = [&RECONNECT, &RESUME];

/// It must be there before something can happen to it.
fn needs_ready(run: &Run) -> Option<String> {
    let is_ready = run.cast.before.as_ref().is_some_and(|c| c.is_ready());
    let words = "is not set up: connect and send setup first, or play a scenario";
    (!is_ready).then(|| format!("{} {words}.", run.letter(0)))
}

fn needs_session(run: &Run) -> Option<String> {
    let words = "has had no session yet: connect and send setup first";
    (run.facts[0].session.is_empty()).then(|| format!("{} {words}.", run.letter(0)))
}

fn needs_expiry(run: &Run) -> Option<String> {
    let expires_in = run
        .cast
        .before
        .as_ref()
        .and_then(|c| c.expires_in(run.began));
    needs_ready(run).or_else(|| match expires_in {
        None => Some(
            "This token never expires: with demo auth a token is only a name. With auth jwt, exp is enforced inside the session."
                .into(),
        ),
        Some(seconds) if seconds > MAX_EXPIRY => Some(format!(
            "The token lives {seconds:.0} s more, too long to wait for. Set up with one that lives a minute: micro-socket token mints some.",
        )),
        Some(_) => None,
    })
}

static CUT: Scenario = Scenario {
    id: "cut",
    title: "Cut",
    watch: "TCP ends without a close frame, as when a cable is pulled.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_ready,
    steps: &[step(
        "The gateway cuts the connection",
        &[Act::Cut(0)],
        &[Until::Closed(0)],
    )],
    verdict: |run| closed(run, 1006, "no close frame came"),
};

static STALL: Scenario = Scenario {
    id: "stall",
    title: "Stop reading",
    watch: "The gateway treats the socket as if nobody read from it: nothing more is written to it.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_ready,
    steps: &[
        step(
            "The gateway stops writing",
            &[Act::Stall(0)],
            &[Until::Inflicted(0)],
        ),
        Step {
            words: "A ping is sent; its answer waits, until the gateway has waited 10 s",
            acts: &[Act::Raw(0, r#"{"type":"ping"}"#)],
            until: &[Until::Closed(0)],
            within: 25,
        },
    ],
    verdict: |run| closed(run, 4108, "too slow a reader is told so, and can come back"),
};

static TWICE: Scenario = Scenario {
    id: "twice",
    title: "Send a duplicate",
    watch: "One publish is sent twice, with the same messageId, as a client does that did not see the ack.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_ready,
    steps: &[
        step("It is sent", &[once()], &[Until::Acked(0, 1)]),
        step("It is sent again", &[once()], &[Until::Acked(0, 2)]),
    ],
    verdict: |run| {
        let [first, second] = [0, 1].map(|at| &run.facts[0].acks[at]);
        let [a, b] =
            [first, second].map(|ack| format!("{} at #{}", ack.status.as_str(), ack.seq_no));
        let good = second.status == AckStatus::Duplicate && first.seq_no == second.seq_no;
        let effect = if good { "One effect" } else { "Two effects" };
        Verdict::new(
            good,
            format!(
                "First answer: {a}; second: {b}. {effect} on {}.",
                run.topic()
            ),
        )
    },
};

const fn once() -> Act {
    Act::Publish {
        role: 0,
        first: 1,
        count: 1,
        bytes: 0,
    }
}

static MALFORMED: Scenario = Scenario {
    id: "malformed",
    title: "Send a malformed frame",
    watch: "A frame goes out that ends in the middle. The gateway says what is wrong with it and goes on.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_ready,
    steps: &[
        step(
            "The broken frame is sent",
            &[Act::Raw(0, r#"{"type":"publish","topic":"#)],
            &[Until::Refused(0, 1)],
        ),
        step("A good one follows", &[once()], &[Until::Acked(0, 1)]),
    ],
    verdict: |run| {
        let error = &run.facts[0].errors[0];
        let words = format!(
            "{} The socket goes on: the next publish was acked.",
            error.words()
        );
        Verdict::new(true, words)
    },
};

static EXPIRE: Scenario = Scenario {
    id: "expire",
    title: "Let the token expire",
    watch: "Nothing is sent until the token's time is over. The gateway says so and closes.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_expiry,
    steps: &[Step {
        words: "The token's time runs out",
        acts: &[],
        until: &[Until::Refused(0, 1), Until::Closed(0)],
        within: 130,
    }],
    verdict: |run| {
        let error = run.facts[0].errors[0].code.as_str();
        closed(run, 4101, &format!("{error} came first"))
    },
};

static OFFLINE: Scenario = Scenario {
    id: "offline",
    title: "Go offline",
    watch: "The connection is cut, and for a while there is no way back. What others publish meanwhile is missed, for now.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_ready,
    steps: &[
        step(
            "The gateway cuts the connection",
            &[Act::Cut(0)],
            &[Until::Closed(0)],
        ),
        step("Out of reach", &[], &[Until::Over]),
    ],
    verdict: |run| {
        let words = format!("{} was away for {} s.", run.letter(0), run.cast.seconds);
        Verdict::new(true, format!("{words} Press Reconnect or Resume."))
    },
};

static RECONNECT: Scenario = Scenario {
    id: "reconnect",
    title: "Reconnect",
    watch: "A new connection and a new session: setup, then subscribe with lastSeq and epoch for every topic there was.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_session,
    steps: &[step(
        "It connects, sets up and subscribes from where it was",
        &[Act::Return(0)],
        &[Until::Ready(0), Until::Back(0)],
    )],
    verdict: |run| back(run, "A new session"),
};

static RESUME: Scenario = Scenario {
    id: "resume-session",
    title: "Resume",
    watch: "A new connection and the same session: resume with the last seqNo of every topic there was.",
    roles: 1,
    topic: TopicOf::Focus,
    hindrance: needs_session,
    steps: &[step(
        "It connects and resumes",
        &[Act::Resume { role: 0, of: 0 }],
        &[Until::Ready(0), Until::Back(0)],
    )],
    verdict: |run| back(run, "The same session"),
};

fn closed(run: &Run, code: u16, what: &str) -> Verdict {
    let seen = run.facts[0].closes.first().copied().unwrap_or(0);
    let words = format!("Closed with {seen}: {what}. Press Reconnect or Resume.");
    Verdict::new(seen == code, words)
}

/// How the topics fared, all together.
fn back(run: &Run, what: &str) -> Verdict {
    let topics = run.topics();
    let returns = topics.iter().filter_map(|topic| topic.last_return);
    let recovered = returns.clone().filter(|back| back.recovered).count();
    let replayed: u64 = returns.map(|back| back.replayed).sum();
    let counts = topics.iter().map(|topic| topic.counts);
    let counts = counts.fold(Counts::default(), Counts::and);
    let words = match topics.len() {
        0 => format!("{what}; there were no topics."),
        all => format!(
            "{what}; {recovered} of {all} topics recovered, {replayed} replayed, {}.",
            counts.words()
        ),
    };
    Verdict::new(recovered == topics.len() && counts.are_clean(), words)
}
