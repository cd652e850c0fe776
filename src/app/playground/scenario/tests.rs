//! Each scenario is played against a toy gateway that keeps its promises, and against worse ones.

use super::super::Playground;
use super::super::client::ClientId;
use super::super::{Event, Happened};
use super::toy::Toy;
use super::*;

fn cast(before: Option<super::super::client::Client>) -> Cast {
    Cast {
        clients: ClientId::ALL,
        tokens: ["ann", "ben", "cleo", "dan"].map(ToOwned::to_owned),
        salt: "s".into(),
        before,
        seconds: 5,
    }
}

/// Plays a run to its end, or until nothing happens any more; then time passes.
fn play(mut run: Run, toy: &mut Toy, playground: &mut Playground) -> Run {
    let mut now = 0.0;
    for _ in 0..3 {
        while let Some(command) = run.poll() {
            now += 1.0;
            let happened = match command {
                Command::Connect(client) => vec![(client, Event::Opened)],
                Command::Send(client, text) => toy.answer(client, &text),
                Command::Inflict(client, Fault::Stall, session) => {
                    assert!(!session.is_empty());
                    toy.sockets.get_mut(client.letter()).unwrap().3 = true;
                    run.inflicted("s", client, Ok(()), now);
                    vec![]
                }
                Command::Inflict(client, Fault::Cut, _) => {
                    run.inflicted("s", client, Ok(()), now);
                    toy.sockets.remove(client.letter());
                    let reason = String::new();
                    vec![(client, Event::Closed { code: 1006, reason })]
                }
            };
            for (client, event) in happened {
                let happened = Happened {
                    client,
                    at: now,
                    event,
                };
                playground.apply(happened.clone());
                run.happened(&happened);
            }
        }
        if run.verdict().is_some() {
            break;
        }
        now += 60_000.0;
        run.tick(now);
    }
    run
}

fn played(scenario: &'static Scenario, toy: &mut Toy) -> Run {
    let mut playground = Playground::default();
    play(Run::new(scenario, cast(None), 0.0), toy, &mut playground)
}

#[track_caller]
fn says(run: &Run, good: bool, words: &str) {
    let verdict = run.verdict().expect("a verdict");
    assert_eq!((verdict.good, verdict.words.as_str()), (good, words));
}

#[test]
fn each_scenario_ends_with_what_was_seen() {
    let expected = [
        "B and C each got 5 of 5, in order: no gap, no double.",
        "First answer: ok at #1; second: duplicate at #1; B's: duplicate at #1. A received it once.",
        "ACL_DENIED on private.ann.s for B: 2 of 2 tries, to subscribe and to publish. A got 1, B got 0.",
        "B joined late: recovered, 5 replayed; 6 of 6 in all, no gap, no double, in order.",
        "A was cut (1006). Then: recovered, 5 replayed; 7 of 7 in all, no gap, no double, in order.",
        "A was closed with 4108 slow consumer; B got 30 of 30, no gap, no double, in order. A came back: recovered, 30 replayed; 30 of 30 in all, no gap, no double, in order.",
        "A closed with 4009; B holds the session and got the next message, no gap, no double, in order.",
    ];
    for (scenario, words) in SCENARIOS.into_iter().zip(expected) {
        let run = played(scenario, &mut Toy::default());
        says(&run, true, words);
        let steps = run.steps();
        assert!(
            steps
                .iter()
                .all(|(_, progress)| *progress == Progress::Done)
        );
    }
}

#[test]
fn a_gateway_that_loses_a_message_is_found_out() {
    let mut toy = Toy {
        loses: Some(3),
        ..Toy::default()
    };
    let run = played(SCENARIOS[0], &mut toy);
    says(
        &run,
        false,
        "Waited 10 s in vain: B has 4 of 5 messages, C has 4 of 5 messages.",
    );
    let progress: Vec<_> = run.steps().into_iter().map(|(_, p)| p).collect();
    assert_eq!(progress, [Progress::Done, Progress::Done, Progress::Failed]);
}

#[test]
fn a_gateway_that_does_not_answer_is_not_waited_for_for_ever() {
    let mut toy = Toy {
        mute: true,
        ..Toy::default()
    };
    let run = played(SCENARIOS[1], &mut toy);
    says(&run, false, "Waited 10 s in vain: A has 0 of 1 acks.");
}

fn event(client: ClientId, event: Event) -> Happened {
    Happened {
        client,
        at: 1.0,
        event,
    }
}

#[test]
fn a_refusal_that_nobody_waits_for_ends_it_with_its_mend() {
    let mut run = Run::new(SCENARIOS[0], cast(None), 0.0);
    let a = ClientId::FIRST;
    run.happened(&event(a, Event::Opened));
    let refusal =
        r#"{"type":"error","code":"AUTH_FAILED","message":"bad token","retryable":false}"#;
    run.happened(&event(a, Event::Received(refusal.into())));
    let words = &run.verdict().unwrap().words;
    assert!(
        words.starts_with("A was refused: AUTH_FAILED: bad token. "),
        "{words}"
    );
    assert_eq!(run.poll(), None, "nothing more is done");
    assert_eq!(run.steps()[0].1, Progress::Failed);
}

#[test]
fn a_close_that_nobody_waits_for_ends_it() {
    let mut run = Run::new(SCENARIOS[0], cast(None), 0.0);
    let closed = Event::Closed {
        code: 1006,
        reason: String::new(),
    };
    run.happened(&event(ClientId::ALL[3], closed.clone()));
    assert!(run.verdict().is_none(), "D takes no part");
    run.happened(&event(ClientId::ALL[1], closed));
    assert!(
        run.verdict()
            .unwrap()
            .words
            .starts_with("B was closed: 1006")
    );
}

/// Client A, set up with a topic of which two messages came, at a toy gateway.
fn set_up(toy: &mut Toy) -> Playground {
    let topics = if toy.preset.is_some() { "" } else { r#""t""# };
    let mut playground = Playground::default();
    let publish =
        |id: &str| format!(r#"{{"type":"publish","topic":"t","messageId":"{id}","payload":1}}"#);
    let a = ClientId::FIRST;
    for text in [
        format!(r#"{{"type":"setup","token":"ann","topics":[{topics}]}}"#),
        publish("one"),
        publish("two"),
    ] {
        for (client, what) in toy.answer(a, &text) {
            playground.apply(event(client, what));
        }
    }
    playground
}

fn inflicted(scenario: &'static Scenario, toy: &mut Toy, playground: &mut Playground) -> Run {
    let before = playground.client(ClientId::FIRST).clone();
    let run = Run::new(scenario, cast(Some(before)), 0.0);
    play(run, toy, playground)
}

#[test]
fn each_fault_says_what_it_did() {
    let expected = [
        "Closed with 1006: no close frame came. Press Reconnect or Resume.",
        "Closed with 4108: too slow a reader is told so, and can come back. Press Reconnect or Resume.",
        "First answer: ok at #3; second: duplicate at #3. One effect on t.",
        "BAD_REQUEST: no. ",
        "This token never expires",
        "A was away for 5 s. Press Reconnect or Resume.",
    ];
    for (fault, words) in FAULTS.into_iter().zip(expected) {
        let mut toy = Toy::default();
        let mut playground = set_up(&mut toy);
        let run = inflicted(fault, &mut toy, &mut playground);
        let verdict = run.verdict().unwrap();
        assert!(verdict.words.starts_with(words), "{}", verdict.words);
        assert_eq!(verdict.good, fault.id != "expire");
    }
}

#[test]
fn faults_need_somebody_to_befall() {
    for fault in FAULTS.into_iter().chain(RETURNS) {
        let run = inflicted(fault, &mut Toy::default(), &mut Playground::default());
        assert!(!run.verdict().unwrap().good);
        assert!(
            run.verdict().unwrap().words.contains("setup"),
            "{}",
            fault.id
        );
    }
}

#[test]
fn both_ways_back_go_on_from_where_it_was() {
    for (back, words) in RETURNS
        .into_iter()
        .zip(["A new session", "The same session"])
    {
        let mut toy = Toy::default();
        let mut playground = set_up(&mut toy);
        inflicted(FAULTS[0], &mut toy, &mut playground);
        // What is missed meanwhile.
        toy.topics
            .get_mut("t")
            .unwrap()
            .extend(["x", "y", "z"].map(ToOwned::to_owned));
        let run = inflicted(back, &mut toy, &mut playground);
        let all = "; 1 of 1 topics recovered, 3 replayed, no gap, no double, in order.";
        says(&run, true, &format!("{words}{all}"));
        let [topic] = &run.topics()[..] else {
            panic!("one topic");
        };
        assert_eq!((topic.topic.as_str(), topic.counts.received), ("t", 3));
        assert_eq!(topic.last_return.unwrap().words(), "recovered, 3 replayed");
    }
}

#[test]
fn a_topic_of_the_url_is_back_when_its_position_is_answered() {
    for back in RETURNS {
        let mut toy = Toy {
            preset: Some("t"),
            ..Toy::default()
        };
        let mut playground = set_up(&mut toy);
        inflicted(FAULTS[0], &mut toy, &mut playground);
        toy.topics
            .get_mut("t")
            .unwrap()
            .extend(["x", "y"].map(ToOwned::to_owned));
        let run = inflicted(back, &mut toy, &mut playground);
        let words = &run.verdict().unwrap().words;
        let all = "; 1 of 1 topics recovered, 2 replayed, no gap, no double, in order.";
        assert!(words.ends_with(all), "{}: {words}", back.id);
    }
}

#[test]
fn a_topic_that_is_refused_on_the_way_back_says_with_which_code() {
    let mut toy = Toy::default();
    let mut playground = set_up(&mut toy);
    inflicted(FAULTS[0], &mut toy, &mut playground);
    toy.denies = Some("t");
    let run = inflicted(RETURNS[0], &mut toy, &mut playground);
    let all = "0 of 1 topics recovered, 0 replayed, no gap, no double, in order.";
    says(&run, false, &format!("A new session; {all}"));
    assert_eq!(run.topics()[0].words(), "refused: ACL_DENIED");
}

#[test]
fn who_is_connected_by_hand_meanwhile_is_not_offline() {
    let mut toy = Toy::default();
    let before = set_up(&mut toy).client(ClientId::FIRST).clone();
    let offline = FAULTS[5];
    let mut run = Run::new(offline, cast(Some(before)), 0.0);
    let closed = Event::Closed {
        code: 1006,
        reason: String::new(),
    };
    run.happened(&event(ClientId::FIRST, closed));
    assert_eq!(run.steps()[1], ("Out of reach", Progress::Doing));
    let url = "ws://h/ws".to_owned();
    run.happened(&event(ClientId::FIRST, Event::Opening { url }));
    says(&run, false, "A was connected by hand before this was over.");
}

#[test]
fn a_connection_that_the_run_asked_for_is_no_stranger() {
    let mut run = Run::new(SCENARIOS[1], cast(None), 0.0);
    let url = "ws://h/ws".to_owned();
    let opening = event(ClientId::FIRST, Event::Opening { url });
    run.happened(&opening);
    assert!(run.verdict().is_none());
    run.happened(&opening);
    assert!(run.verdict().is_some(), "the second one is");
}

#[test]
fn an_answer_to_another_run_is_nothing_to_this_one() {
    let mut toy = Toy::default();
    let before = set_up(&mut toy).client(ClientId::FIRST).clone();
    let mut run = Run::new(FAULTS[1], cast(Some(before)), 0.0);
    let late = Err("too late".to_owned());
    run.inflicted("earlier", ClientId::FIRST, late, 1.0);
    run.inflicted("earlier", ClientId::FIRST, Ok(()), 1.0);
    assert!(run.verdict().is_none());
    assert_eq!(run.steps()[0].1, Progress::Doing);
}

#[test]
fn what_the_replay_leaves_out_is_told() {
    let mut toy = Toy::default();
    let mut playground = set_up(&mut toy);
    inflicted(FAULTS[0], &mut toy, &mut playground);
    toy.topics
        .get_mut("t")
        .unwrap()
        .extend(["x", "y", "z"].map(ToOwned::to_owned));
    toy.loses = Some(4);
    let run = inflicted(RETURNS[1], &mut toy, &mut playground);
    says(&run, false, "Waited 10 s in vain: A is not back in t.");
    assert_eq!(run.topics()[0].counts.gaps, 1);
}

#[test]
fn a_token_that_ends_soon_is_waited_for_and_one_that_does_not_is_not() {
    for (expires_in, plays) in [(60, true), (3600, false)] {
        let mut playground = Playground::default();
        let ready = format!(
            r#"{{"type":"ready","sessionId":"s","userId":"ann","expiresIn":{expires_in}}}"#
        );
        playground.apply(event(ClientId::FIRST, Event::Received(ready)));
        let before = playground.client(ClientId::FIRST).clone();
        let mut run = Run::new(FAULTS[4], cast(Some(before)), 1.0);
        assert_eq!(run.verdict().is_none(), plays);
        if plays {
            let expired =
                r#"{"type":"error","code":"TOKEN_EXPIRED","message":"over","retryable":false}"#;
            run.happened(&event(ClientId::FIRST, Event::Received(expired.into())));
            let closed = Event::Closed {
                code: 4101,
                reason: String::new(),
            };
            run.happened(&event(ClientId::FIRST, closed));
            assert_eq!(
                run.verdict().unwrap().words,
                "Closed with 4101: TOKEN_EXPIRED came first. Press Reconnect or Resume."
            );
        }
    }
}

#[test]
fn a_gateway_without_demo_endpoints_is_told_apart() {
    let mut toy = Toy::default();
    let playground = set_up(&mut toy);
    let before = playground.client(ClientId::FIRST).clone();
    let mut run = Run::new(FAULTS[0], cast(Some(before)), 0.0);
    assert!(
        matches!(run.poll(), Some(Command::Inflict(_, Fault::Cut, session)) if session == "session-A")
    );
    run.inflicted(
        "s",
        ClientId::FIRST,
        Err("the demo endpoints are off".into()),
        1.0,
    );
    says(
        &run,
        false,
        "The gateway does not do that to a socket: the demo endpoints are off.",
    );
}

#[test]
fn names_are_unique_and_every_step_is_waited_for() {
    let all = SCENARIOS.into_iter().chain(FAULTS).chain(RETURNS);
    let mut ids: Vec<_> = all.clone().map(|s| s.id).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for scenario in all {
        assert!(scenario.roles <= ROLES);
        assert!(scenario.steps.iter().all(|step| !step.until.is_empty()));
    }
}
