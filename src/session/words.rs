//! What is said to a session and what it says: its inputs, its outputs, and the answers between them.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::protocol::{
    AckStatus, ClientMessage, CloseCode, DecodeError, Epoch, Position, Refusal, SeqNo,
    ServerMessage, Topic, UnrecoveredReason,
};

/// Who a token stands for, as far as the session needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user_id: Arc<str>,
    /// The id of a new session, 32 hexadecimal digits on the wire.
    pub session_id: u128,
    /// When the token expires, on the caller's clock; `None` for never.
    pub expires_at_ms: Option<u64>,
    /// What an acknowledged message is safe from, where that is less than the backbone could promise.
    pub durability: Option<String>,
    /// Topics subscribed now that the token does not allow; a refresh ends them.
    pub denied: Vec<Topic>,
}

/// The answer to [`Output::Subscribe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The topic's newest number.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    pub epoch: Epoch,
    /// When a position was given: how many messages follow, or why none do.
    pub replay: Option<Result<u64, UnrecoveredReason>>,
}

/// One topic of a session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The topic.
    pub topic: Topic,
    /// 0, or 1 with client acks.
    pub qos: u8,
    /// What was sent (qos 0) or acknowledged (qos 1).
    pub position: Position,
}

/// The answer to [`Output::Resume`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The session's id, which stays.
    pub session_id: u128,
    /// Its topics.
    pub topics: Vec<Held>,
}

/// The answer to [`Output::Publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// Fresh, or seen before.
    pub status: AckStatus,
    /// Where it is kept.
    pub topic: Cow<'a, str>,
    /// Its place there.
    pub seq_no: SeqNo,
    /// The epoch of that number.
    pub epoch: Epoch,
}

/// Something happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A text frame came.
    Frame(Result<ClientMessage<'a>, DecodeError>),
    /// The answer to [`Output::Authenticate`].
    Authenticated(Result<Identity, Refusal>),
    /// The answer to [`Output::Resume`].
    Resumed(Result<Resumed, Refusal>),
    /// The answer to [`Output::Subscribe`].
    Subscribed(Result<Attached, Refusal>),
    /// The answer to [`Output::Publish`], in any order.
    Published {
        /// The topic and id of the publish.
        topic: Cow<'a, str>,
        /// The publisher's name for it.
        message_id: Cow<'a, str>,
        /// What became of it.
        result: Result<Accepted<'a>, Refusal>,
    },
    /// The answer to [`Output::Ack`], where it was refused.
    AckRefused {
        /// The topic of the ack.
        topic: Cow<'a, str>,
        /// Why.
        refusal: Refusal,
    },
    /// The moment of [`Session::deadline`] has come.
    Deadline,
    /// The gateway goes away.
    Drain,
}

/// Something to do.
#[derive(Debug, PartialEq)]
pub enum Output<'a> {
    /// Question: whom does this token stand for?
    Authenticate(Cow<'a, str>),
    /// Question: attach the topic, and find what came after the position.
    Subscribe {
        /// The topic, checked.
        topic: Topic,
        /// Where to go on from.
        after: Option<Position>,
        /// 0, or 1 with client acks; `None` for what it was, or 0.
        qos: Option<u8>,
    },
    /// Question: find this user's session, and make it this connection's.
    Resume {
        /// Its id as the client gave it.
        session_id: String,
    },
    /// A resume came to its end.
    CountResume {
        /// Whether nothing was lost.
        complete: bool,
    },
    /// The client received everything of the topic up to here; answered only when refused.
    Ack {
        /// The topic as it came.
        topic: Cow<'a, str>,
        /// Up to where.
        seq_no: SeqNo,
    },
    /// Send the messages that the last answer to `Subscribe` counted, then the live ones.
    Replay,
    /// Detach the topic.
    Unsubscribe(Cow<'a, str>),
    /// Hand this to the backbone; answered by [`Input::Published`].
    Publish {
        /// The topic, checked.
        topic: Cow<'a, str>,
        /// The publisher's name for it, checked.
        message_id: Cow<'a, str>,
        /// One JSON value.
        payload: &'a str,
        /// A signature that travels along.
        sig: Option<Cow<'a, str>>,
    },
    /// Send this frame.
    Send(ServerMessage<'a>),
    /// Close with this code; nothing follows.
    Close(CloseCode),
}

impl PartialEq for ServerMessage<'_> {
    fn eq(&self, other: &Self) -> bool {
        crate::protocol::encode_server(self) == crate::protocol::encode_server(other)
    }
}

/// What is to be done about one input, in its order; few things, nearly always.
pub type Outputs<'a> = SmallVec<[Output<'a>; 3]>;

/// What a session allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Milliseconds from the beginning to a valid `setup`.
    pub setup_timeout_ms: u64,
    /// Publishes per second; 0 for no limit. A burst of twice that is allowed.
    pub publish_rate: u32,
}
