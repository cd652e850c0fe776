//! The platform of the browser: gloo-net's WebSocket, one thread, the page's own clock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream};
use gloo_net::websocket::events::CloseEvent;
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, WebSocketError};
use gloo_timers::future::TimeoutFuture;
use web_sys::WebSocket as Raw;

use super::driver::{Driver, Incoming};
use super::port::Ending;

/// Bytes that the browser may hold back before we hold back ourselves.
const MAX_BUFFERED_BYTES: u32 = 1 << 20;
/// How often to look whether the browser got rid of them: it has no event for it.
const BUFFERED_RECHECK_MS: u32 = 20;

pub(super) type Sleep = TimeoutFuture;

pub(super) fn sleep(time: Duration) -> Sleep {
    // Rounded up, or the timer would fire before its deadline and be set again and again.
    TimeoutFuture::new(u32::try_from(time.as_millis() + 1).unwrap_or(i32::MAX.unsigned_abs()))
}

/// Runs a socket in the background.
pub(super) fn spawn(driver: Driver) -> Result<(), &'static str> {
    wasm_bindgen_futures::spawn_local(driver);
    Ok(())
}

/// 128 random bits.
pub(crate) fn random() -> u128 {
    let mut bytes = [0_u8; 16];
    let filled = web_sys::window()
        .and_then(|window| window.crypto().ok())
        .is_some_and(|crypto| crypto.get_random_values_with_u8_array(&mut bytes).is_ok());
    if !filled {
        // Outside a window. Ids must differ, they need not be secret.
        for byte in &mut bytes {
            *byte = (js_sys::Math::random() * 256.0) as u8;
        }
    }
    u128::from_le_bytes(bytes)
}

/// The page's monotonic clock.
pub(crate) struct Clock(Option<web_sys::Performance>);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(web_sys::window().and_then(|window| window.performance()))
    }

    pub(crate) fn now(&self) -> Duration {
        let ms = self
            .0
            .as_ref()
            .map_or_else(js_sys::Date::now, web_sys::Performance::now);
        Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
    }
}

/// One WebSocket, from dialing to its end.
///
/// Why a second reference to the browser's object: gloo's own `close` takes the socket and then
/// makes up a close event with code 1000, so that what the peer answered could not be seen.
pub(super) struct Wire {
    state: State,
    /// Whether it was open at some time.
    opened: bool,
    recheck: Option<TimeoutFuture>,
}

enum State {
    Dialing { socket: WebSocket, raw: Raw },
    Open { socket: WebSocket, raw: Raw },
    Broken(Option<Ending>),
}

impl Wire {
    /// The browser sets its own limit for messages.
    pub(super) fn open(url: &str, _max_message_bytes: usize, _ca: Option<&str>) -> Self {
        let opened = Raw::new(url)
            .map_err(|_| "the URL is not one of a WebSocket")
            .and_then(|raw| {
                let socket = WebSocket::try_from(raw.clone())
                    .map_err(|_| "the browser refuses to open a WebSocket")?;
                Ok(State::Dialing { socket, raw })
            });
        let state = opened.unwrap_or_else(|reason| {
            State::Broken(Some(Ending {
                retry: false,
                ..Ending::cut(reason)
            }))
        });
        Self {
            state,
            opened: false,
            recheck: None,
        }
    }

    /// Ready when a frame can be sent, or when there is nothing to send it on.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Open { raw, .. } = &self.state else {
            return if matches!(self.state, State::Dialing { .. }) {
                Poll::Pending
            } else {
                Poll::Ready(())
            };
        };
        while raw.buffered_amount() > MAX_BUFFERED_BYTES && raw.ready_state() == Raw::OPEN {
            let recheck = self
                .recheck
                .get_or_insert_with(|| TimeoutFuture::new(BUFFERED_RECHECK_MS));
            if Pin::new(recheck).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.recheck = None;
        }
        Poll::Ready(())
    }

    pub(super) fn send(&mut self, text: String) {
        // On a socket that is closing the browser swallows it; the close event follows anyway.
        if let State::Open { socket, raw } = &mut self.state
            && raw.ready_state() == Raw::OPEN
        {
            let _ = Pin::new(socket).start_send(Message::Text(text));
        }
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        if let State::Open { raw, .. } = &self.state
            && raw.close_with_code_and_reason(code, reason).is_err()
        {
            // The browser refuses codes that are not the program's to send.
            let _ = raw.close();
        }
    }

    /// The browser sends by itself.
    pub(super) fn flush(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    pub(super) fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        if let State::Broken(ending) = &mut self.state {
            return ending
                .take()
                .map_or(Poll::Pending, |e| Poll::Ready(Incoming::Closed(e)));
        }
        if let State::Dialing { socket, .. } = &mut self.state
            && Pin::new(socket).poll_ready(cx).is_ready()
        {
            self.state = match std::mem::replace(&mut self.state, State::Broken(None)) {
                State::Dialing { socket, raw } => State::Open { socket, raw },
                other => other,
            };
            // Also ready when it failed: then the close event that follows tells.
            if let State::Open { raw, .. } = &self.state
                && raw.ready_state() == Raw::OPEN
            {
                self.opened = true;
                return Poll::Ready(Incoming::Opened);
            }
        }
        loop {
            let (State::Open { socket, .. } | State::Dialing { socket, .. }) = &mut self.state
            else {
                return Poll::Pending;
            };
            let Poll::Ready(next) = Pin::new(socket).poll_next(cx) else {
                return Poll::Pending;
            };
            return match next {
                Some(Ok(Message::Text(text))) => Poll::Ready(Incoming::Text(text)),
                Some(Ok(Message::Bytes(bytes))) => Poll::Ready(Incoming::Binary(bytes)),
                Some(Err(WebSocketError::ConnectionClose(event))) => {
                    let ending = closed(event, self.opened);
                    self.broken(ending)
                }
                // An error event says nothing; the close event after it says what there is.
                Some(Err(_)) => continue,
                None => self.broken(Ending::cut("the connection was cut")),
            };
        }
    }

    fn broken(&mut self, ending: Ending) -> Poll<Incoming> {
        self.state = State::Broken(None);
        Poll::Ready(Incoming::Closed(ending))
    }
}

fn closed(event: CloseEvent, opened: bool) -> Ending {
    let reason = if event.reason.is_empty() && !opened {
        // Browsers keep it from programs, which could scan networks with it.
        "no WebSocket could be opened there; the browser does not say why".to_owned()
    } else {
        event.reason
    };
    Ending {
        code: event.code,
        reason,
        was_clean: event.was_clean,
        retry: true,
    }
}
