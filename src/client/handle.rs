//! The cheap, cloneable end of a socket through which a program speaks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_channel::oneshot;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::{
    ClientMessage, ErrorFrame, MessageId, NameError, Publish, PublishAck, Token, Topic,
    encode_client,
};

use super::options::Qos;
use super::platform;
use super::port::Command;
use super::queue::{Queue, Refused};
use super::receipts::Taken;
use super::sign::SigningKey;

/// Where a publish's answer goes.
pub(super) type Answer = oneshot::Sender<Result<PublishAck<'static>, PublishError>>;

/// What handles and the driver share.
pub(super) struct Shared {
    /// What programs ask for and the driver has not taken yet.
    pub(super) commands: Queue<Command<Answer>>,
    /// Signs each publish.
    pub(super) signing_key: Option<SigningKey>,
    /// What the program took from its stream.
    pub(super) taken: Taken,
    /// Whether the WebSocket is open now.
    pub(super) open: AtomicBool,
}

/// Speaks on a [`SubSocket`](super::SubSocket). Cheap to clone; outlives the socket harmlessly.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    /// Publishes to a topic under a new random message id. `payload` is anything that serde can
    /// write as JSON; a [`RawValue`] goes out byte for byte.
    ///
    /// The publish is on its way when this returns; await the result for its position.
    pub fn publish<P: Serialize + ?Sized>(&self, topic: &str, payload: &P) -> Publishing {
        let id = format!("{:032x}", platform::random());
        self.publish_with_id(topic, &id, payload)
    }

    /// As [`publish`](Self::publish), under your own message id: publishing the same id again has
    /// no second effect within the gateway's dedup window.
    pub fn publish_with_id<P: Serialize + ?Sized>(
        &self,
        topic: &str,
        message_id: &str,
        payload: &P,
    ) -> Publishing {
        let (answer, receiver) = oneshot::channel();
        let state = match self.try_publish(topic, message_id, payload, answer) {
            Ok(()) => State::Waiting(receiver),
            Err(error) => State::Failed(Some(error)),
        };
        Publishing {
            message_id: message_id.to_owned(),
            state,
        }
    }

    fn try_publish<P: Serialize + ?Sized>(
        &self,
        topic: &str,
        message_id: &str,
        payload: &P,
        answer: Answer,
    ) -> Result<(), PublishError> {
        Topic::check(topic)?;
        MessageId::check(message_id)?;
        let payload: Box<RawValue> =
            to_raw_value(payload).map_err(|e| PublishError::Payload(e.to_string()))?;
        let key = self.shared.signing_key.as_ref();
        let sig = key.map(|key| key.sign(topic, message_id, payload.get()));
        let text = encode_client(&ClientMessage::Publish(Publish {
            topic: topic.into(),
            message_id: message_id.into(),
            payload: &payload,
            sig: sig.map(Into::into),
        }));
        let bytes = text.len();
        let message_id = message_id.to_owned();
        self.push(
            Command::Publish {
                message_id,
                text,
                answer,
            },
            bytes,
        )
        .map_err(PublishError::from)
    }

    /// Subscribes a topic. The answer comes as an event; the topic is kept across reconnects.
    ///
    /// # Errors
    /// [`SendError`] when it cannot be asked for.
    pub fn subscribe(&self, topic: &str) -> Result<(), SendError> {
        self.ask_for(topic, None)
    }

    /// As [`subscribe`](Self::subscribe), with a quality of service of its own; also changes that
    /// of a topic that is subscribed, without loss or double.
    ///
    /// # Errors
    /// [`SendError`] when it cannot be asked for.
    pub fn subscribe_with_qos(&self, topic: &str, qos: Qos) -> Result<(), SendError> {
        self.ask_for(topic, Some(qos))
    }

    fn ask_for(&self, topic: &str, qos: Option<Qos>) -> Result<(), SendError> {
        Topic::check(topic)?;
        self.push(Command::Subscribe(topic.to_owned(), qos), topic.len())
    }

    /// Stops receiving a topic: no message of it comes after this is taken up.
    ///
    /// # Errors
    /// [`SendError`] when it cannot be asked for.
    pub fn unsubscribe(&self, topic: &str) -> Result<(), SendError> {
        Topic::check(topic)?;
        self.push(Command::Unsubscribe(topic.to_owned()), topic.len())
    }

    /// Replaces the token by a newer one of the same user, now and for later reconnects.
    ///
    /// # Errors
    /// [`SendError`] when it cannot be asked for.
    pub fn refresh(&self, token: impl Into<String>) -> Result<(), SendError> {
        let token = Token::new(token);
        let bytes = token.expose().len();
        self.push(Command::Refresh(token), bytes)
    }

    /// Sends a text frame as it is, whatever it says. Not repeated after a reconnect.
    ///
    /// # Errors
    /// [`SendError::NotOpen`] while there is no open WebSocket; others as they say.
    pub fn send_raw(&self, text: impl Into<String>) -> Result<(), SendError> {
        if !self.shared.open.load(Ordering::Acquire) {
            return Err(SendError::NotOpen);
        }
        let text = text.into();
        let bytes = text.len();
        self.push(Command::Raw(text), bytes)
    }

    /// Closes the socket for good with code 1000. Its stream ends with the `Closed` event.
    pub fn close(&self) {
        self.close_now(1000, "");
    }

    /// As [`close`](Self::close), with a code (1000 or 3000 to 4999) and a reason (at most 123
    /// bytes), the ones that a browser allows too.
    ///
    /// # Errors
    /// [`SendError::BadClose`] for another code or a longer reason.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), SendError> {
        if !(code == 1000 || (3000..=4999).contains(&code)) || reason.len() > 123 {
            return Err(SendError::BadClose);
        }
        self.close_now(code, reason);
        Ok(())
    }

    fn close_now(&self, code: u16, reason: &str) {
        let reason = reason.to_owned();
        self.shared
            .commands
            .push_last(Command::Close { code, reason });
    }

    fn push(&self, command: Command<Answer>, bytes: usize) -> Result<(), SendError> {
        self.shared
            .commands
            .push(command, bytes)
            .map_err(|refused| match refused {
                Refused::Full(_) => SendError::Full,
                Refused::Closed(_) => SendError::Closed,
            })
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Why something could not be handed to the socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too much is waiting to go out.
    #[error("too much is waiting to be sent; wait for the acks of earlier publishes")]
    Full,
    /// The socket is closed for good.
    #[error("the socket is closed")]
    Closed,
    /// There is no open WebSocket now.
    #[error("the socket is not open")]
    NotOpen,
    /// The code or the reason may not be sent.
    #[error("a close needs code 1000 or 3000 to 4999 and at most 123 bytes of reason")]
    BadClose,
    /// The topic's name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Why a publish has no ack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The gateway refused it. `retryable` tells whether the same can succeed later. One that was sent
    /// again after a cut may have been accepted before, and the message says so: publishing the same
    /// message id again is safe.
    #[error("{}: {}", .0.code.as_str(), .0.message)]
    Refused(ErrorFrame<'static>),
    /// Too many publishes wait for their acks; this one was not sent.
    #[error("too many publishes are waiting for their acks")]
    Full,
    /// The socket ended before the ack came. It may or may not have been accepted; publishing the
    /// same message id again is safe.
    #[error("the socket closed before the ack came")]
    Closed,
    /// The payload cannot be written as JSON.
    #[error("the payload is not JSON: {0}")]
    Payload(String),
    /// The topic or the message id is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl From<SendError> for PublishError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => Self::Full,
            SendError::Name(error) => Self::Name(error),
            SendError::Closed | SendError::NotOpen | SendError::BadClose => Self::Closed,
        }
    }
}

/// A publish on its way: resolves with its ack. Dropping it does not take the publish back.
#[derive(Debug)]
#[must_use = "await it to know whether the publish was accepted"]
pub struct Publishing {
    message_id: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<PublishAck<'static>, PublishError>>),
    Failed(Option<PublishError>),
}

impl Publishing {
    /// The message id it goes out under, to publish the same message again.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message_id
    }
}

impl Future for Publishing {
    type Output = Result<PublishAck<'static>, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Waiting(receiver) => {
                let answer = ready!(Pin::new(receiver).poll(cx));
                Poll::Ready(answer.unwrap_or(Err(PublishError::Closed)))
            }
            State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or(PublishError::Closed))),
        }
    }
}
