//! The frames of the catalogue.

use super::{Direction, FieldDoc, FrameDoc};

/// Every frame.
pub const FRAMES: &[FrameDoc] = &[
    FrameDoc {
        name: "setup",
        direction: Direction::ToServer,
        summary: "Says who you are and, if you like, which topics to begin with. The first frame. Answered by one subscribed or error per topic in order, then ready.",
        fields: &[
            required(
                "token",
                "string",
                "Your token. With demo auth any non-empty text, which becomes your user.",
            ),
            optional(
                "topics",
                "array of strings",
                "Topics to subscribe at once, after the one in the URL.",
            ),
            optional("qos", "0 or 1", "Quality of service of those topics."),
        ],
        example: r#"{"type":"setup","token":"demo-user","topics":["prices","alerts"]}"#,
    },
    FrameDoc {
        name: "subscribe",
        direction: Direction::ToServer,
        summary: "Receives a topic from now on; with lastSeq, first replays what came after it. Doing it twice changes nothing.",
        fields: &[
            required(
                "topic",
                "string",
                "1 to 255 bytes of UTF-8 without control characters.",
            ),
            optional(
                "lastSeq",
                "number",
                "The last seqNo you have; 0 for everything that is kept.",
            ),
            optional(
                "epoch",
                "string",
                "The epoch of lastSeq, from subscribed or ack.",
            ),
            optional(
                "qos",
                "0 or 1",
                "1 holds back after 1000 messages or 1 MiB without your ack.",
            ),
        ],
        example: r#"{"type":"subscribe","topic":"prices"}"#,
    },
    FrameDoc {
        name: "unsubscribe",
        direction: Direction::ToServer,
        summary: "Stops receiving a topic. Doing it twice changes nothing.",
        fields: &[required("topic", "string", "The topic.")],
        example: r#"{"type":"unsubscribe","topic":"prices"}"#,
    },
    FrameDoc {
        name: "publish",
        direction: Direction::ToServer,
        summary: "Sends a message to everyone who subscribes the topic, you too if you do. The same messageId again has no second effect and is answered with the first position.",
        fields: &[
            required("topic", "string", "The topic; you need not be subscribed."),
            required(
                "messageId",
                "string",
                "Your own name for the message, 1 to 128 bytes, new for each message.",
            ),
            required(
                "payload",
                "any JSON",
                "Reaches every subscriber byte for byte as data. At most 120 levels of arrays and objects.",
            ),
            optional(
                "sig",
                "string",
                "A signature that travels with the message unchanged.",
            ),
        ],
        example: r#"{"type":"publish","topic":"orders","messageId":"order-1001","payload":{"sku":"A-7","qty":2}}"#,
    },
    FrameDoc {
        name: "ack",
        direction: Direction::ToServer,
        summary: "Says that everything of a topic up to seqNo was received. Moves the session's position.",
        fields: &[
            required("topic", "string", "A topic you subscribe."),
            required("seqNo", "number", "The last seqNo you received."),
        ],
        example: r#"{"type":"ack","topic":"prices","seqNo":7}"#,
    },
    FrameDoc {
        name: "resume",
        direction: Direction::ToServer,
        summary: "Goes on with an earlier session after a cut: the first frame instead of setup. Answered per topic by subscribed and the missed messages, then ready with resumed true.",
        fields: &[
            required("token", "string", "A token of the session's user."),
            required("sessionId", "string", "From ready."),
            required(
                "lastSeqPerTopic",
                "object",
                "The last seqNo you have of each topic.",
            ),
            optional("epochs", "object", "The epoch of each of those."),
        ],
        example: r#"{"type":"resume","token":"demo-user","sessionId":"6f1c2a","lastSeqPerTopic":{"prices":7},"epochs":{"prices":"e1"}}"#,
    },
    FrameDoc {
        name: "refresh",
        direction: Direction::ToServer,
        summary: "Replaces the token before it expires by a new one of the same user. Answered by ready.",
        fields: &[required("token", "string", "The new token.")],
        example: r#"{"type":"refresh","token":"demo-user"}"#,
    },
    FrameDoc {
        name: "ping",
        direction: Direction::ToServer,
        summary: "Asks for a pong, since a browser cannot see WebSocket pings.",
        fields: &[],
        example: r#"{"type":"ping"}"#,
    },
    FrameDoc {
        name: "ready",
        direction: Direction::ToClient,
        summary: "The socket is set up; follows the answers to the topics of setup.",
        fields: &[
            required(
                "sessionId",
                "string",
                "Names the session for resume. Keep it secret.",
            ),
            required("resumed", "boolean", "Whether an earlier session goes on."),
            required("userId", "string", "Who the token says you are."),
            optional("expiresIn", "number", "Seconds until the token expires."),
            optional(
                "durability",
                "string",
                "What an ack means, when the log is brought to the disk only every so often: fsync every 100ms.",
            ),
            optional(
                "node",
                "string",
                "The gateway that you are on (setting node).",
            ),
        ],
        example: r#"{"type":"ready","sessionId":"6f1c2a","resumed":false,"userId":"demo-user","node":"web1-3000"}"#,
    },
    FrameDoc {
        name: "subscribed",
        direction: Direction::ToClient,
        summary: "The topic is subscribed. With a position given, recovered tells whether everything after it follows; it is all or nothing.",
        fields: &[
            required("topic", "string", "The topic."),
            required("seqNo", "number", "The topic's head; 0 when it is empty."),
            required(
                "epoch",
                "string",
                "Names this numbering; it changes when continuity is lost.",
            ),
            optional(
                "recovered",
                "boolean",
                "Whether everything after your position follows.",
            ),
            optional("replayed", "number", "How many messages follow."),
            optional(
                "reason",
                "string",
                "Why not: epoch, trimmed, ahead or unknown.",
            ),
        ],
        example: r#"{"type":"subscribed","topic":"prices","seqNo":9,"epoch":"e1","recovered":true,"replayed":2}"#,
    },
    FrameDoc {
        name: "unsubscribed",
        direction: Direction::ToClient,
        summary: "The topic is no longer subscribed; no message of it follows.",
        fields: &[required("topic", "string", "The topic.")],
        example: r#"{"type":"unsubscribed","topic":"prices"}"#,
    },
    FrameDoc {
        name: "message",
        direction: Direction::ToClient,
        summary: "A message of a topic you subscribe, in the topic's one order.",
        fields: &[
            required("topic", "string", "The topic."),
            required(
                "seqNo",
                "number",
                "Its place in the topic, strictly rising.",
            ),
            optional(
                "prevSeq",
                "number",
                "The place of the one before, where that is not seqNo - 1.",
            ),
            required("messageId", "string", "The publisher's name for it."),
            optional(
                "ts",
                "number",
                "When it was accepted, in milliseconds since 1970.",
            ),
            optional(
                "sig",
                "string",
                "The publisher's signature, if it sent one.",
            ),
            required(
                "data",
                "any JSON",
                "The payload, byte for byte as published.",
            ),
        ],
        example: r#"{"type":"message","topic":"prices","seqNo":8,"messageId":"tick-8","ts":1790000000000,"data":{"bid":100,"ask":101}}"#,
    },
    FrameDoc {
        name: "ack",
        direction: Direction::ToClient,
        summary: "The answer to publish: the message is kept at this position. duplicate repeats the position of the first.",
        fields: &[
            required("messageId", "string", "From publish."),
            required("status", "string", "ok or duplicate."),
            required("topic", "string", "The topic it is kept in."),
            required("seqNo", "number", "Its place in the topic."),
            required("epoch", "string", "The epoch of that number."),
        ],
        example: r#"{"type":"ack","messageId":"order-1001","status":"ok","topic":"orders","seqNo":1,"epoch":"e1"}"#,
    },
    FrameDoc {
        name: "pong",
        direction: Direction::ToClient,
        summary: "The answer to ping.",
        fields: &[],
        example: r#"{"type":"pong"}"#,
    },
    FrameDoc {
        name: "error",
        direction: Direction::ToClient,
        summary: "A request was refused. The socket stays open unless a close follows.",
        fields: &[
            required("code", "string", "One of the error codes."),
            required("message", "string", "The cause and the mend, for people."),
            optional("topic", "string", "The topic it is about."),
            optional("messageId", "string", "The publish it is about."),
            required(
                "retryable",
                "boolean",
                "Whether the same request can succeed later.",
            ),
        ],
        example: r#"{"type":"error","code":"BAD_TOPIC","message":"topic must not be empty","topic":"","retryable":false}"#,
    },
];

const fn required(name: &'static str, kind: &'static str, meaning: &'static str) -> FieldDoc {
    FieldDoc {
        name,
        kind,
        required: true,
        meaning,
    }
}

const fn optional(name: &'static str, kind: &'static str, meaning: &'static str) -> FieldDoc {
    FieldDoc {
        name,
        kind,
        required: false,
        meaning,
    }
}
