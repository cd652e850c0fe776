//! Error codes and close codes: one table each, with what a reader should do about it.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident $wire:literal $status:literal $retryable:literal $cause:literal $mend:literal;)*) => {
        /// The `code` of an `error` frame and of an HTTP error body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $wire)] $name,)* }

        impl ErrorCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $wire),* } }

            /// The HTTP status that goes with the code.
            #[must_use]
            pub const fn http_status(self) -> u16 { match self { $(Self::$name => $status),* } }

            /// Whether the same request can succeed later without being changed.
            #[must_use]
            pub const fn retryable(self) -> bool { match self { $(Self::$name => $retryable),* } }

            /// What causes it, in one sentence.
            #[must_use]
            pub const fn cause(self) -> &'static str { match self { $(Self::$name => $cause),* } }

            /// What to do about it, in one sentence.
            #[must_use]
            pub const fn mend(self) -> &'static str { match self { $(Self::$name => $mend),* } }
        }
    };
}

error_codes! {
    /// Something came before `setup`.
    AuthRequired "AUTH_REQUIRED" 401 false
        "A frame came before setup, or an HTTP request without a token."
        "Send setup with a token first; over HTTP send Authorization: Bearer.";
    /// The token is missing or not valid.
    AuthFailed "AUTH_FAILED" 401 false
        "The token is empty, malformed, badly signed, revoked or not valid yet."
        "Get a new token; the socket is closed with 4001.";
    /// The token was valid once.
    TokenExpired "TOKEN_EXPIRED" 401 false
        "The token's expiry has passed."
        "Send refresh with a new token before the old one expires, or reconnect with one.";
    /// The user may not do this with this topic.
    AclDenied "ACL_DENIED" 403 false
        "The token does not allow this action on this topic, whether or not the topic exists."
        "Ask for a token whose topics claim allows it.";
    /// The session cannot be resumed.
    SessionExpired "SESSION_EXPIRED" 401 false
        "The session is unknown, has expired or belongs to another user."
        "Send setup on the same socket and subscribe with lastSeq from your own positions.";
    /// The frame or request is not well formed.
    BadRequest "BAD_REQUEST" 400 false
        "The frame is not a JSON object, its type is unknown, or a field is missing or of the wrong kind."
        "Mend the field that the message names; the socket stays open.";
    /// The topic's name is not allowed.
    BadTopic "BAD_TOPIC" 400 false
        "The topic is empty, longer than 255 bytes, or holds control characters."
        "Use a topic of 1 to 255 bytes of UTF-8.";
    /// A second `setup` on one socket.
    AlreadySetup "ALREADY_SETUP" 409 false
        "setup or resume came on a socket that is set up already."
        "Use subscribe for more topics; open a new socket for another user.";
    /// A limit of the gateway is reached.
    LimitExceeded "LIMIT_EXCEEDED" 413 false
        "A limit of the gateway is reached, such as topics per connection or bytes per message."
        "Stay within the limit that the message names.";
    /// Too fast.
    TooManyRequests "TOO_MANY_REQUESTS" 429 true
        "More requests came than the gateway allows in this time."
        "Wait and send again.";
    /// The backbone cannot take it now.
    NotAvailable "NOT_AVAILABLE" 503 true
        "The backbone is away or full, the issuer of tokens is away, or the gateway is going away; nothing was accepted."
        "Send the same messageId again after a pause.";
    /// An `ack` beyond what was sent.
    BadAck "BAD_ACK" 400 false
        "The ack names a topic that is not subscribed or a seqNo that was not sent yet."
        "Acknowledge only what was received.";
    /// A fault of the gateway.
    Internal "INTERNAL" 500 true
        "The gateway failed; the fault is in its log."
        "Try again; report it if it stays.";
}

/// By hand: a derived schema does not see the names on the wire, which come out of the table.
#[cfg(feature = "ssr")]
impl utoipa::PartialSchema for ErrorCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

#[cfg(feature = "ssr")]
impl utoipa::ToSchema for ErrorCode {}

/// What a client should do after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Connecting again would end the same way.
    Never,
    /// Wait with a jittered backoff, then connect again and go on from the own positions.
    Backoff,
    /// Connect again at once and resume.
    Now,
}

impl Reconnect {
    /// The advice in words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Never => "do not reconnect",
            Self::Backoff => "reconnect after a backoff",
            Self::Now => "reconnect at once and resume",
        }
    }
}

macro_rules! close_codes {
    ($($name:ident $code:literal $reconnect:ident $short:literal $meaning:literal;)*) => {
        /// Why the gateway closes a socket. RFC 6455 section 7.4 for 1xxx; 40xx, 41xx and 42xx
        /// carry the reconnect advice in their second digit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CloseCode { $(#[doc = $meaning] $name,)* }

        impl CloseCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u16 { match self { $(Self::$name => $code),* } }

            /// The reason text in the close frame.
            #[must_use]
            pub const fn reason(self) -> &'static str { match self { $(Self::$name => $short),* } }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str { match self { $(Self::$name => $meaning),* } }

            /// What a client should do about it.
            #[must_use]
            pub const fn reconnect(self) -> Reconnect { match self { $(Self::$name => Reconnect::$reconnect),* } }

            /// The code with that number, if the gateway uses it.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

close_codes! {
    Normal 1000 Never "bye" "The peer closed in order.";
    GoingAway 1001 Backoff "going away" "The peer is going away.";
    Protocol 1002 Never "protocol error" "A frame broke RFC 6455.";
    Unsupported 1003 Never "text frames only" "A binary frame came; this protocol is JSON text.";
    BadUtf8 1007 Never "invalid UTF-8" "A text frame was not valid UTF-8.";
    Policy 1008 Backoff "too slow or too empty" "A message did not come whole in time, or too many frames carried nothing.";
    TooBig 1009 Never "message too big" "A message was larger than the gateway's limit.";
    Internal 1011 Backoff "internal error" "The gateway failed.";
    Restart 1012 Backoff "restarting" "The gateway is being restarted or drained.";
    Overloaded 1013 Backoff "overloaded" "The gateway is overloaded.";
    AuthFailed 4001 Never "authentication failed" "The token was refused.";
    SetupTimeout 4002 Never "no setup in time" "No valid setup or resume came within the setup timeout.";
    Kicked 4003 Never "disconnected by the operator" "The operator disconnected this user or token.";
    TooManyErrors 4008 Never "too many errors" "Too many bad frames came in a short time.";
    TakenOver 4009 Never "session taken over" "A newer socket resumed this session.";
    OverCapacity 4100 Backoff "over capacity" "A limit of connections or of a rate is reached.";
    TokenExpired 4101 Backoff "token expired" "The token expired within the session; get a new one first.";
    SlowConsumer 4108 Backoff "slow consumer" "More was waiting for this socket than its queue holds.";
    ContinuityLost 4200 Now "continuity lost" "The gateway cannot prove that this socket got everything; resume.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_carry_their_advice() {
        for code in CloseCode::ALL {
            let expected = match code.code() / 100 {
                40 => Reconnect::Never,
                41 => Reconnect::Backoff,
                42 => Reconnect::Now,
                _ => code.reconnect(),
            };
            assert_eq!(code.reconnect(), expected, "{code:?}");
            assert_eq!(CloseCode::from_code(code.code()), Some(*code));
            assert!(code.reason().len() <= 123, "RFC 6455 section 5.5");
        }
    }

    #[test]
    fn error_codes_serialize_as_their_wire_names() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
        }
    }
}
