use super::*;

/// A space in front sends a publish the long way round, through the envelope.
#[test]
fn a_publish_is_read_alike_by_both_ways() {
    for rest in [
        r#""topic":"t","messageId":"m","payload":{"a":[1]},"sig":"s"}"#,
        r#""payload":null,"x":1,"messageId":"m\u0041","topic":"t\"","sig":null}"#,
        r#""topic":"t","messageId":"m"}"#,
        r#""topic":1,"messageId":"m","payload":1}"#,
        r#""topic":"t","topic":"u","messageId":"m","payload":1}"#,
        r#""topic":"t","messageId":"m","payload":1} x"#,
        r#""type":"ping","topic":"t","messageId":"m","payload":1}"#,
    ] {
        let text = format!(r#"{{"type":"publish",{rest}"#);
        let longer = format!(" {text}");
        let (short, long) = (decode_client(&text), decode_client(&longer));
        match (&short, &long) {
            (Ok(short), Ok(long)) => assert_eq!(encode_client(short), encode_client(long)),
            _ => assert_eq!(short.is_ok(), long.is_ok(), "{text}"),
        }
    }
}

fn refusal(text: &str) -> String {
    decode_client(text).unwrap_err().to_string()
}

#[test]
fn a_payload_is_kept_byte_for_byte() {
    for payload in [
        r#"{ "x" : 1.0e400, "x":2 }"#,
        "null",
        "[ 1,\t2]",
        r#""\u00fc \ud800""#,
    ] {
        let text =
            format!(r#"{{"type":"publish","topic":"t","messageId":"m","payload":{payload}}}"#);
        let ClientMessage::Publish(publish) = decode_client(&text).unwrap() else {
            panic!("not a publish")
        };
        assert_eq!(publish.payload.get(), payload);
    }
}

#[test]
fn errors_name_the_field() {
    assert_eq!(
        refusal(r#"{"type":"subscribe"}"#),
        "subscribe needs the field `topic`"
    );
    assert_eq!(
        refusal(r#"{"type":"subscribe","topic":5}"#),
        "field `topic` must be a string"
    );
    assert_eq!(
        refusal(r#"{"type":"subscribe","topic":"a","lastSeq":-1}"#),
        "field `lastSeq` must be a whole number from 0"
    );
    assert_eq!(
        refusal(r#"{"type":"setup","token":"a","topics":"prices"}"#),
        "field `topics` must be an array of strings"
    );
    assert_eq!(
        refusal(r#"{"type":"setup","token":"a","qos":2}"#),
        "field `qos` must be 0 or 1"
    );
    assert_eq!(
        refusal(r#"{"topic":"a"}"#),
        "a frame needs the field `type`"
    );
    assert!(refusal(r#"{"type":"nope"}"#).starts_with("unknown type \"nope\""));
    assert!(refusal("[]").starts_with("a frame must be a JSON object"));
    assert!(refusal("{").starts_with("not JSON"));
    assert!(refusal("").starts_with("not JSON"));
}

#[test]
fn fields_of_other_frames_are_ignored() {
    let text = r#"{"type":"subscribe","topic":"a","token":5,"payload":{},"extra":[1]}"#;
    assert!(matches!(decode_client(text), Ok(ClientMessage::Subscribe(s)) if s.topic == "a"));
    assert!(matches!(
        decode_client(r#"{"type":"ping","topic":{}}"#),
        Ok(ClientMessage::Ping)
    ));
}

#[test]
fn deep_nesting_neither_overflows_nor_panics() {
    let deep = "[".repeat(50_000) + &"]".repeat(50_000);
    let text = format!(r#"{{"type":"publish","topic":"t","messageId":"m","payload":{deep}}}"#);
    assert!(decode_client(&text).is_ok());
    assert!(decode_client(&"[".repeat(60_000)).is_err());
    assert!(decode_client(&r#"{"a":"#.repeat(10_000)).is_err());
}

#[test]
fn every_frame_reads_back_as_it_was_written() {
    for frame in crate::protocol::reference::FRAMES {
        let again = match frame.direction {
            crate::protocol::reference::Direction::ToServer => {
                encode_client(&decode_client(frame.example).unwrap())
            }
            crate::protocol::reference::Direction::ToClient => {
                encode_server(&decode_server(frame.example).unwrap())
            }
        };
        assert_eq!(again, frame.example);
    }
}
