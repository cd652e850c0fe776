//! The platform of native programs: tokio and tokio-tungstenite.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{Sink, Stream};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::driver::{Driver, Incoming};
use super::port::Ending;

/// A client has few sockets with small frames: the library's 128 KiB would be mostly air.
const BUFFER_BYTES: usize = 16 * 1024;

pub(super) type Sleep = Pin<Box<tokio::time::Sleep>>;

pub(super) fn sleep(time: Duration) -> Sleep {
    Box::pin(tokio::time::sleep(time))
}

/// Runs a socket in the background.
pub(super) fn spawn(driver: Driver) -> Result<(), &'static str> {
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|_| "a native socket needs a tokio runtime around it")?;
    drop(runtime.spawn(driver));
    Ok(())
}

/// 128 random bits: the standard library seeds its hashers from the system's randomness.
pub(crate) fn random() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0_u8));
    (half() << 64) | half()
}

pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Dialing = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

/// One WebSocket, from dialing to its end.
pub(super) struct Wire(State);

enum State {
    Dialing(Dialing),
    Open(Box<Socket>),
    Broken(Option<Ending>),
}

impl Wire {
    /// `ca` holds certificates in PEM that are trusted besides the machine's own.
    pub(super) fn open(url: &str, max_message_bytes: usize, ca: Option<&str>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let url = url.to_owned();
        let connector = url
            .get(..4)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:"))
            .then(|| super::tls::connector(ca));
        Self(State::Dialing(Box::pin(async move {
            // Small frames must not wait for the acks of earlier ones: no Nagle.
            let connector = connector.transpose()?;
            connect_async_tls_with_config(url, Some(config), true, connector)
                .await
                .map(|(socket, _)| socket)
        })))
    }

    /// Ready when a frame can be sent, or when there is nothing to send it on.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            State::Dialing(_) => Poll::Pending,
            State::Open(socket) => Pin::new(socket.as_mut()).poll_ready(cx).map(drop),
            State::Broken(_) => Poll::Ready(()),
        }
    }

    pub(super) fn send(&mut self, text: String) {
        self.put(Message::text(text));
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.put(Message::Close(Some(CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        })));
    }

    fn put(&mut self, message: Message) {
        if let State::Open(socket) = &mut self.0 {
            // A socket that cannot write shows why when it is read.
            let _ = Pin::new(socket.as_mut()).start_send(message);
        }
    }

    /// Ready when nothing waits to be written any more. An error shows when the socket is read.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            State::Open(socket) => Pin::new(socket.as_mut()).poll_flush(cx).map(drop),
            State::Dialing(_) | State::Broken(_) => Poll::Ready(()),
        }
    }

    pub(super) fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            let socket = match &mut self.0 {
                State::Dialing(dialing) => {
                    return match dialing.as_mut().poll(cx) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Ok(socket)) => {
                            self.0 = State::Open(Box::new(socket));
                            Poll::Ready(Incoming::Opened)
                        }
                        Poll::Ready(Err(error)) => self.broken(not_open(&error)),
                    };
                }
                State::Broken(ending) => {
                    return ending
                        .take()
                        .map_or(Poll::Pending, |e| Poll::Ready(Incoming::Closed(e)));
                }
                State::Open(socket) => socket,
            };
            let Poll::Ready(next) = Pin::new(socket.as_mut()).poll_next(cx) else {
                return Poll::Pending;
            };
            match next {
                Some(Ok(Message::Text(text))) => {
                    return Poll::Ready(Incoming::Text(text.as_str().to_owned()));
                }
                Some(Ok(Message::Binary(bytes))) => {
                    return Poll::Ready(Incoming::Binary(bytes.to_vec()));
                }
                Some(Ok(Message::Close(frame))) => {
                    // The answer to it is queued; this is its chance to get out.
                    let _ = Pin::new(socket.as_mut()).poll_flush(cx);
                    return self.broken(closed(frame));
                }
                // The library answers pings.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return self.broken(failed(&error)),
                None => return self.broken(Ending::cut("the connection was cut")),
            }
        }
    }

    fn broken(&mut self, ending: Ending) -> Poll<Incoming> {
        self.0 = State::Broken(None);
        Poll::Ready(Incoming::Closed(ending))
    }
}

fn closed(frame: Option<CloseFrame>) -> Ending {
    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
        (frame.code.into(), frame.reason.as_str().to_owned())
    });
    Ending {
        code,
        reason,
        was_clean: true,
        retry: true,
    }
}

/// Why there is no WebSocket.
fn not_open(error: &Error) -> Ending {
    let retry = match error {
        // The same URL is as wrong the next time; so is one that needs TLS without it built in.
        Error::Url(_) | Error::HttpFormat(_) => false,
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidInput => false,
        Error::Http(response) => {
            let status = response.status();
            !status.is_client_error() || matches!(status.as_u16(), 408 | 429)
        }
        _ => true,
    };
    Ending {
        retry,
        ..Ending::cut(error.to_string())
    }
}

/// Why a WebSocket broke.
fn failed(error: &Error) -> Ending {
    let code = match error {
        Error::Capacity(_) => 1009,
        Error::Utf8(_) => 1007,
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => 1006,
        Error::Protocol(_) | Error::AttackAttempt => 1002,
        _ => 1006,
    };
    Ending {
        code,
        ..Ending::cut(error.to_string())
    }
}
