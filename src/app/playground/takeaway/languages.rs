//! The programs. Each opens the connection, sends what was composed and prints what comes.

use super::{Composed, quoting};
use crate::protocol::{ClientMessage, decode_client};

/// What a message can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A request over HTTP, where it has a counterpart of the frame.
    Curl,
    /// A WebSocket in a terminal.
    Websocat,
    /// For a browser, or Node 22 and newer.
    JavaScript,
    /// With tungstenite.
    Rust,
    /// With websockets.
    Python,
}

impl Language {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 5] = [
        Self::Curl,
        Self::Websocat,
        Self::JavaScript,
        Self::Rust,
        Self::Python,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Websocat => "websocat",
            Self::JavaScript => "JavaScript",
            Self::Rust => "Rust",
            Self::Python => "Python",
        }
    }

    /// What it needs to run.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Self::Curl => {
                "Needs curl. Where the gateway has an admin-addr, /api/ answers there only."
            }
            Self::Websocat => "Needs websocat. Ctrl-C ends it.",
            Self::JavaScript => "Runs in a browser's console and in Node 22 and newer.",
            Self::Rust => {
                "Needs the crate tungstenite; for wss with its feature rustls-tls-native-roots."
            }
            Self::Python => "Needs the package websockets.",
        }
    }
}

pub(super) fn write(composed: &Composed, language: Language) -> Result<String, &'static str> {
    const A_TOKEN: &str = "This text speaks of a token and is not a frame that the gateway understands, so the token cannot be left out. Mend the frame, or take the token out of it.";
    if composed.frame.is_none() {
        return Err(A_TOKEN);
    }
    match language {
        Language::Curl => curl(composed),
        Language::Websocat => Ok(websocat(composed)),
        Language::JavaScript => Ok(javascript(composed)),
        Language::Rust => Ok(rust(composed)),
        Language::Python => Ok(python(composed)),
    }
}

/// `publish` and `subscribe` have counterparts in HTTP; the rest is about a connection.
fn curl(composed: &Composed) -> Result<String, &'static str> {
    const NOT_A_FRAME: &str = "This text is not a frame that the gateway understands, so HTTP has nothing like it. The other languages send it as it is.";
    const NO_COUNTERPART: &str = "This frame is about a connection, and a request over HTTP has none. Take one of the other languages.";
    let origin = composed
        .http_origin()
        .ok_or("The URL must begin with ws:// or wss://.")?;
    let bearer = quoting::shell(&format!("Authorization: Bearer {}", composed.token));
    let frame = composed.frame.as_deref().unwrap_or_default();
    match decode_client(frame).map_err(|_| NOT_A_FRAME)? {
        ClientMessage::Publish(publish) => {
            let json = |text: &str| serde_json::to_string(text).unwrap_or_default();
            let mut body = format!(
                "{{\"topic\":{},\"messageId\":{},\"payload\":{}",
                json(&publish.topic),
                json(&publish.message_id),
                publish.payload.get()
            );
            if let Some(sig) = &publish.sig {
                body.push_str(&format!(",\"sig\":{}", json(sig)));
            }
            body.push('}');
            Ok(format!(
                "curl {} \\\n  -H {bearer} \\\n  -H 'Content-Type: application/json' \\\n  --data-binary {}",
                quoting::shell(&format!("{origin}/api/publish")),
                quoting::shell(&body)
            ))
        }
        ClientMessage::Subscribe(subscribe) => {
            let topic = quoting::path_segment(&subscribe.topic);
            let after = subscribe
                .last_seq
                .map_or_else(String::new, |seq| format!("?after={seq}"));
            let url = format!("{origin}/api/topics/{topic}/history{after}");
            Ok(format!(
                "# What the topic holds now. HTTP has no live messages.\ncurl {} \\\n  -H {bearer}",
                quoting::shell(&url)
            ))
        }
        _ => Err(NO_COUNTERPART),
    }
}

/// websocat sends a message a line; a line break between tokens of JSON is as good as a space.
fn websocat(composed: &Composed) -> String {
    let frames: Vec<_> = composed
        .frames()
        .map(|frame| format!("  {}", quoting::shell(&frame.replace(['\r', '\n'], " "))))
        .collect();
    format!(
        "printf '%s\\n' \\\n{} |\n  websocat --no-close {}",
        frames.join(" \\\n"),
        quoting::shell(&composed.ws_url)
    )
}

fn javascript(composed: &Composed) -> String {
    format!(
        "const socket = new WebSocket({});
socket.onmessage = (event) => console.log(event.data);
socket.onclose = (event) => console.log(\"closed\", event.code, event.reason);
socket.onopen = () => {{
{}}};
",
        quoting::script(&composed.ws_url),
        lines(composed, |frame| format!(
            "  socket.send({});\n",
            quoting::script(frame)
        )),
    )
}

fn rust(composed: &Composed) -> String {
    format!(
        "use tungstenite::{{Message, connect}};

fn main() -> Result<(), tungstenite::Error> {{
    let (mut socket, _) = connect({})?;
{}    loop {{
        println!(\"{{}}\", socket.read()?);
    }}
}}
",
        quoting::rust(&composed.ws_url),
        lines(composed, |frame| format!(
            "    socket.send(Message::text({}))?;\n",
            quoting::rust(frame)
        )),
    )
}

fn python(composed: &Composed) -> String {
    format!(
        "from websockets.sync.client import connect

with connect({}) as socket:
{}    for frame in socket:
        print(frame)
",
        quoting::script(&composed.ws_url),
        lines(composed, |frame| format!(
            "    socket.send({})\n",
            quoting::script(frame)
        )),
    )
}

fn lines(composed: &Composed, line: impl Fn(&str) -> String) -> String {
    composed.frames().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::draft::Draft;
    use super::super::quoting::tests::{NASTY, said_by};
    use super::*;

    /// What is written in Rust, compiled.
    #[allow(dead_code, clippy::print_stdout, clippy::needless_raw_string_hashes)]
    mod written {
        use tokio_tungstenite::tungstenite;
        include!("sample.txt");
    }

    fn publish() -> Composed {
        let mut draft = Draft::default();
        draft.choose("publish");
        draft.set("messageId", "m-1");
        draft.set("topic", "it's/a topic");
        draft.set("payload", r#"{"text":"it's \"here\""}"#);
        Composed::new("ws://localhost:3000/ws", &draft, None)
    }

    #[test]
    fn the_rust_program_compiles() {
        let mut draft = Draft::default();
        draft.choose("publish");
        draft.set("messageId", "m-1");
        let composed = Composed::new("ws://localhost:3000/ws", &draft, None);
        assert_eq!(
            composed.written_in(Language::Rust).unwrap(),
            include_str!("sample.txt")
        );
    }

    #[test]
    fn a_publish_is_a_request() {
        let text = publish().written_in(Language::Curl).unwrap();
        assert!(
            text.starts_with("curl 'http://localhost:3000/api/publish' \\\n"),
            "{text}"
        );
        assert!(text.contains("Bearer demo-user"), "{text}");
        assert!(text.contains(r#""topic":"it'\''s/a topic""#), "{text}");
    }

    #[test]
    fn a_subscribe_is_the_history() {
        let mut draft = Draft::default();
        draft.choose("subscribe");
        draft.set("topic", "a/b c");
        draft.set("lastSeq", "7");
        let text = Composed::new("wss://h/ws", &draft, None)
            .written_in(Language::Curl)
            .unwrap();
        assert!(
            text.contains("'https://h/api/topics/a%2Fb%20c/history?after=7'"),
            "{text}"
        );
    }

    #[test]
    fn what_http_lacks_is_said() {
        let mut draft = Draft::default();
        draft.choose("ping");
        let refused = |draft: &Draft, edited| {
            Composed::new("ws://h/ws", draft, edited)
                .written_in(Language::Curl)
                .unwrap_err()
        };
        assert!(refused(&draft, None).contains("other languages"));
        assert!(refused(&draft, Some("{")).contains("not a frame"));
    }

    #[test]
    fn a_line_is_a_message_for_websocat() {
        let composed = Composed::new(
            "ws://h/ws",
            &Draft::default(),
            Some("{\n\"type\":\n\"ping\"}"),
        );
        let text = composed.written_in(Language::Websocat).unwrap();
        assert!(text.contains(r#"'{ "type": "ping"}'"#), "{text}");
    }

    #[test]
    fn a_shell_hands_websocat_the_frames() {
        for nasty in NASTY {
            let mut draft = Draft::default();
            draft.choose("publish");
            draft.set("messageId", nasty);
            draft.set("payload", serde_json::to_string(nasty).unwrap());
            let composed = Composed::new("ws://h/ws", &draft, None);
            let text = composed.written_in(Language::Websocat).unwrap();
            let (printf, websocat) = text.rsplit_once(" |\n").unwrap();
            assert_eq!(websocat, "  websocat --no-close 'ws://h/ws'");
            let frames: Vec<_> = composed.frames().collect();
            let lines = said_by("sh", &["-c", printf]);
            assert_eq!(lines.lines().collect::<Vec<_>>(), frames);
        }
    }
}
