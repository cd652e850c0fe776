//! Connecting, being let in, staying alive and ending.

use super::*;

#[test]
fn close_codes_decide() {
    for (code, random_half_ms) in [
        (1000, None),
        (1001, Some(50)),
        (1002, None),
        (1005, Some(50)),
        (1006, Some(50)),
        (1012, Some(50)),
        (4001, None),
        (4009, None),
        (4042, None),
        (4108, Some(50)),
        (4142, Some(50)),
        (4200, Some(50)), // not stable yet, so not at once
    ] {
        let mut rig = Rig::ready_with(&[]);
        let expected = match random_half_ms {
            Some(ms) => vec![format!("closed {code}, again in {ms} ms")],
            None => vec![format!("closed {code} for good"), "done".to_owned()],
        };
        assert_eq!(rig.closed(code), expected, "{code}");
    }
    let mut rig = Rig::ready_with(&[]);
    rig.now += STABLE;
    assert_eq!(rig.closed(4200), ["closed 4200, again in 0 ms"]);
}

#[test]
fn failing_attempts_back_off_and_a_stable_connection_forgets_them() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(rig.closed(1006), ["closed 1006, again in 50 ms"]);
    for wait in [100, 200, 400] {
        assert_eq!(rig.tick_at_deadline(), ["connect"]);
        assert_eq!(
            rig.closed(1006),
            [format!("closed 1006, again in {wait} ms")]
        );
    }
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    rig.ready();
    rig.now += STABLE;
    assert_eq!(rig.closed(1006), ["closed 1006, again in 50 ms"]);
}

#[test]
fn an_ending_that_cannot_change_is_final() {
    let mut rig = Rig::new(options());
    rig.outputs();
    let ending = Ending {
        retry: false,
        ..Ending::cut("bad URL")
    };
    assert_eq!(
        rig.input(Input::Closed {
            ending,
            random: HALF
        }),
        ["closed 1006 for good", "done"]
    );
}

#[test]
fn a_silent_gateway_is_asked_and_then_left() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(rig.tick_at_deadline(), [r#"> {"type":"ping"}"#]);
    assert!(
        rig.text(r#"{"type":"pong"}"#).is_empty(),
        "our own business"
    );
    assert_eq!(rig.text(r#"{"type":"pong"}"#), ["pong"], "the program's");
    assert_eq!(rig.tick_at_deadline(), [r#"> {"type":"ping"}"#]);
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: the gateway no longer answers"]
    );
    assert_eq!(
        rig.closed(1006),
        ["closed 1006, again in 50 ms"],
        "stable: the first window"
    );
}

#[test]
fn opening_setup_and_closing_have_their_time() {
    let mut rig = Rig::new(options());
    rig.outputs();
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: opening the socket took too long"]
    );
    rig.closed(1006);
    rig.tick_at_deadline();
    rig.input(Input::Opened);
    assert_eq!(rig.tick_at_deadline(), ["abort: setup took too long"]);
    let mut rig = Rig::ready_with(&[]);
    let close = || Command::Close {
        code: 1000,
        reason: String::new(),
    };
    assert_eq!(rig.input(Input::Command(close())), ["close 1000"]);
    assert_eq!(
        rig.tick_at_deadline(),
        ["abort: the close was not answered in time"]
    );
    assert_eq!(rig.closed(1006), ["closed 1006 for good", "done"]);
}

#[test]
fn a_close_ends_it_in_every_state() {
    let close = || {
        Input::Command(Command::Close {
            code: 1000,
            reason: String::new(),
        })
    };
    let mut opening = Rig::new(options());
    opening.outputs();
    assert_eq!(opening.input(close()), ["abort: closed before it was open"]);
    assert_eq!(opening.closed(1006), ["closed 1006 for good", "done"]);
    let mut waiting = Rig::ready_with(&[]);
    waiting.closed(1012);
    assert_eq!(waiting.input(close()), ["closed 1000 for good", "done"]);
    let mut abandoned = Rig::ready_with(&[]);
    assert_eq!(abandoned.input(Input::Abandoned), ["close 1000"]);
    assert_eq!(abandoned.closed(1000), ["closed 1000 for good", "done"]);
}

#[test]
fn manual_sends_and_filters_nothing_by_itself() {
    let mut rig = Rig::new(Options {
        reconnect: Some(Backoff::default()),
        ..Options::manual()
    });
    assert_eq!(rig.outputs(), ["connect"]);
    assert_eq!(rig.input(Input::Opened), ["opened"]);
    assert_eq!(rig.machine.deadline(), None, "no heartbeat");
    assert_eq!(
        rig.input(Input::Command(Command::Raw("hm".to_owned()))),
        ["sent hm", "> hm"]
    );
    assert_eq!(rig.text("nonsense"), ["received nonsense", "undecodable"]);
    for _ in 0..2 {
        assert_eq!(rig.message("t", 3)[1], "t#3");
    }
    assert_eq!(rig.text(r#"{"type":"pong"}"#)[1], "pong");
    assert_eq!(rig.input(Input::Binary(vec![1, 2])), ["binary 2"]);
    assert_eq!(rig.closed(1012), ["closed 1012 for good", "done"]);
}

#[test]
fn a_refreshed_token_is_used_from_then_on() {
    let mut rig = Rig::ready_with(&[]);
    assert_eq!(
        rig.input(Input::Command(Command::Refresh(Token::new("new")))),
        [r#"> {"type":"refresh","token":"new"}"#]
    );
    assert_eq!(rig.ready(), ["ready"]);
    assert_eq!(
        rig.closed(4101),
        [format!("closed 4101, again in {} ms", ms(50).as_millis())]
    );
    rig.tick_at_deadline();
    assert_eq!(
        rig.input(Input::Opened)[1],
        r#"> {"type":"resume","token":"new","sessionId":"s","lastSeqPerTopic":{}}"#
    );
}

#[test]
fn a_token_that_is_refreshed_before_ready_goes_out_with_it() {
    let mut rig = Rig::ready_with(&["a"]);
    rig.resume();
    let refresh = || Input::Command(Command::Refresh(Token::new("new")));
    assert_eq!(rig.input(refresh()), [""; 0], "not before ready");
    let sent = rig.resumed();
    assert_eq!(
        sent[..2],
        ["ready", r#"> {"type":"refresh","token":"new"}"#]
    );
    assert_eq!(rig.ready(), ["ready"], "once");
    // Where the session has expired, `setup` has it already.
    rig.resume();
    rig.input(refresh());
    let setup = rig.text(SESSION_EXPIRED);
    assert_eq!(setup, [r#"> {"type":"setup","token":"new"}"#]);
    assert!(rig.ready().iter().all(|line| !line.contains("refresh")));
}
