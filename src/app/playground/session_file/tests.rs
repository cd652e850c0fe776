use std::sync::Arc;

use super::super::log::{MAX_ROWS, Row};
use super::super::{ClientId, Event, Happened, Playground};
use super::*;

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
const HEADER: &str = r#"{"format":"micro-socket-session","version":1}"#;
const ROW: &str =
    r#"{"time":"2026-03-01T10:00:00.000Z","client":"A","direction":"sent","text":"{}"}"#;

fn playground(events: &[Event]) -> Playground {
    let mut playground = Playground::default();
    let happened = events
        .iter()
        .zip(1_790_000_000_000_u64..)
        .map(|(event, at)| Happened {
            client: ClientId::FIRST,
            at: at as f64,
            event: event.clone(),
        });
    playground.apply_all(happened);
    playground
}

fn sent(text: &str) -> Event {
    Event::Sent(text.to_owned())
}

fn received(text: &str) -> Event {
    Event::Received(text.to_owned())
}

fn rows(playground: &Playground) -> Vec<Arc<Row>> {
    playground.log().all()
}

fn written(playground: &Playground) -> String {
    write(Export {
        rows: &rows(playground),
        dropped: playground.log().dropped(),
        users: ClientId::ALL.map(|id| playground.client(id).user()),
        tokens: Vec::new(),
        now: 1_790_000_000_123.0,
    })
}

#[test]
fn a_log_comes_back_as_it_was() {
    let was = playground(&[
        Event::Opening {
            url: "ws://h/ws".into(),
        },
        Event::Opened,
        sent(r#"{"type":"subscribe","topic":"a\u202eb"}"#),
        received(r#"{"type":"error","code":"AUTH_REQUIRED","message":"","retryable":false}"#),
        sent(r#"{"type":"publish","topic":"t","messageId":"m","payload":{ "a" : 1.0 }}"#),
        received(
            r#"{"type":"ack","messageId":"m","status":"duplicate","topic":"t","seqNo":1,"epoch":"e"}"#,
        ),
        sent("\u{7}not \u{202e} a frame\n"),
        received("neither"),
        Event::Closed {
            code: 4100,
            reason: "busy".into(),
        },
        Event::Failed("it failed".into()),
        Event::Closed {
            code: 1000,
            reason: String::new(),
        },
    ]);
    let session = read(&written(&was)).unwrap();
    let back = Playground::of_session(session.lines);
    assert_eq!(rows(&back), rows(&was));
    assert_eq!(written(&back), written(&was));
}

#[test]
fn the_first_line_is_a_header_and_the_others_are_rows() {
    let ready = r#"{"type":"ready","sessionId":"s","userId":"ann","resumed":false}"#;
    let text = written(&playground(&[
        Event::Opened,
        received(ready),
        sent(r#"{"type":"ping"}"#),
    ]));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"format":"micro-socket-session","version":1,"exported":"2026-09-21T14:13:20.123Z","dropped":0}"#
    );
    assert_eq!(
        lines[3],
        r#"{"time":"2026-09-21T14:13:20.002Z","client":"A","user":"ann","direction":"sent","type":"ping","text":"{\"type\":\"ping\"}","size":15}"#
    );
    assert!(!lines[1].contains("user"), "{}", lines[1]);
    let session = read(&text).unwrap();
    assert_eq!(session.users, ["ann", "", "", ""]);
}

#[test]
fn no_token_is_written() {
    let setup = format!(r#"{{"type":"setup","token":"{JWT}","topics":["t"]}}"#);
    let echo =
        format!(r#"{{"type":"message","topic":"t","seqNo":1,"messageId":"m","data":"{JWT}"}}"#);
    let text = written(&playground(&[
        Event::Opening {
            url: format!("ws://h/ws?access_token={JWT}"),
        },
        sent(&setup),
        sent(r#"{"type":"setup","token":"s3cret"}"#),
        sent(r#"{"type":"refresh","token":"s3cret"}"#),
        sent(r#"{"type":"resume","token":"s3cret","sessionId":"s","lastSeqPerTopic":{}}"#),
        sent(r#"{"type":"setup","tok\u0065n":"s3cret"}"#),
        sent(r#"{"type":"setup","token":"s3cret",}"#),
        sent(r#"{"type":"setup","Token":"s3cret"}"#),
        sent(r#"{"type":"ping","token":"s3cret"}"#),
        received(&echo),
        received("\u{202e}"),
        received(&format!(
            r#"{{"type":"ready","sessionId":"s","userId":"{JWT}","resumed":false}}"#
        )),
    ]));
    assert!(!text.contains("s3cret") && !text.contains("eyJ"), "{text}");
    assert_eq!(text.matches("YOUR_TOKEN").count(), 9, "{text}");
    assert_eq!(text.matches(r#""type":"left out""#).count(), 1, "{text}");
    assert!(
        text.contains(r#"\"token\":\"YOUR_TOKEN\",\"topics\":[\"t\"]"#),
        "{text}"
    );
    assert!(!text.contains('\u{202e}'), "{text}");
    // The word alone is no secret.
    let publish = r#"{"type":"publish","topic":"t","messageId":"m","payload":{"token": "BTC"}}"#;
    let session = read(&written(&playground(&[sent(publish)]))).unwrap();
    assert_eq!(session.lines[0].text, publish);
}

#[test]
fn the_oldest_rows_give_way_to_the_limits() {
    let big = format!("[{}]", "\"\",".repeat(200_000));
    let events: Vec<_> = (0..3).map(|_| received(&big)).collect();
    let all = rows(&playground(&events));
    let many: Vec<_> = all.iter().cycle().take(18).cloned().collect();
    let text = write(Export {
        rows: &many,
        dropped: 3,
        users: [""; 4],
        tokens: Vec::new(),
        now: 0.0,
    });
    assert!(text.len() <= MAX_FILE_BYTES);
    let session = read(&text).unwrap();
    assert!(session.lines.len() < 18);
    assert_eq!(session.dropped, 21 - session.lines.len() as u64);
    let too_long = "x".repeat(MAX_LINE_BYTES);
    let text = written(&playground(&[sent(&too_long)]));
    let session = read(&text).unwrap();
    assert!(session.lines[0].text.contains("1048576 bytes was left out"));
}

#[test]
fn hand_made_files_are_read() {
    let session = read(&format!("\u{feff}{HEADER}\r\n\r\n{ROW}\r\n\n{ROW}")).unwrap();
    assert_eq!(session.lines.len(), 2);
    assert_eq!(session.lines[0].kind, "note");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let with =
        |what: &str, instead: &str| format!("{HEADER}\n{ROW}\n{}", ROW.replace(what, instead));
    let rows = |n| format!("{HEADER}\n{}", format!("{ROW}\n").repeat(n));
    for (text, line, words) in [
        (String::new(), 0, "The file is empty"),
        ("\n \n".into(), 0, "The file is empty"),
        ("nonsense".into(), 1, "it is no JSON"),
        (ROW.into(), 1, "must be its header"),
        (
            r#"{"format":"micro-socket-session","version":2}"#.into(),
            1,
            "`version` is 2",
        ),
        (
            r#"{"format":"micro-socket-session"}"#.into(),
            1,
            "`version` is missing",
        ),
        (format!("{HEADER}\n\n{{"), 3, "it is no JSON: EOF"),
        (format!("{HEADER}\n[]"), 2, "it is no JSON object"),
        (
            with("sent", "up"),
            3,
            "`direction` must be sent, received or note; it is \"up\"",
        ),
        (
            with("\"A\"", "\"E\""),
            3,
            "`client` must be A, B, C or D; it is \"E\"",
        ),
        (
            with("\"A\"", "7"),
            3,
            "`client` must be a text in quotes; it is 7",
        ),
        (with("2026-03", "2026-13"), 3, "`time` must be a moment"),
        (with("text", "other"), 3, "`text` is missing"),
        (
            with("{\"time", "{\"type\":{},\"time"),
            3,
            "`type` must be a text",
        ),
        (
            with("sent", "\u{202e}\\u0007up"),
            3,
            r#"it is "\u202e\u0007up""#,
        ),
        (with("sent", &"x".repeat(99)), 3, "…"),
        (
            with("\"A\"", &format!("\"A\",\"user\":\"{}\"", "x".repeat(256))),
            3,
            "`user` must be at most 255 bytes",
        ),
        (
            with("{}", &"x".repeat(MAX_LINE_BYTES)),
            3,
            "at most 1024 KiB",
        ),
        (rows(MAX_ROWS + 1), MAX_ROWS + 2, "at most"),
        (" ".repeat(MAX_FILE_BYTES + 1), 0, "at most 16 MiB"),
        ("[".repeat(100_000), 1, "recursion limit"),
    ] {
        let problem = read(&text).unwrap_err();
        assert_eq!(problem.line, line, "{problem}");
        assert!(problem.words.contains(words), "{problem}");
        assert!(!problem.to_string().contains('\u{202e}'));
        assert!(problem.to_string().len() < 300, "{problem}");
    }
    assert_eq!(read(&rows(MAX_ROWS)).unwrap().lines.len(), MAX_ROWS);
}

#[test]
fn a_hostile_file_does_no_harm() {
    let texts = [
        r#"{\"type\":\"message\",\"topic\":\"t\",\"seqNo\":18446744073709551615,\"messageId\":\"m\",\"data\":1}"#,
        r#"{\"type\":\"subscribed\",\"topic\":\"t\",\"seqNo\":18446744073709551615,\"epoch\":\"e\",\"recovered\":true,\"replayed\":18446744073709551615}"#,
        r#"{\"type\":\"ready\",\"sessionId\":\"s\",\"userId\":\"u\",\"expiresIn\":18446744073709551615}"#,
    ];
    let mut file = HEADER.to_owned();
    for (text, time) in texts
        .iter()
        .cycle()
        .zip(["1970-01-01", "9999-12-31"].iter().cycle())
        .take(30)
    {
        file.push_str(&format!(
            "\n{{\"time\":\"{time}T00:00:00Z\",\"client\":\"D\",\"direction\":\"received\",\"text\":\"{text}\"}}"
        ));
    }
    let back = Playground::of_session(read(&file).unwrap().lines);
    assert_eq!(back.log().len(), 30);
}
