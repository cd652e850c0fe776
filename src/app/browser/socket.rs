//! The page's one socket: the Rust client in manual mode, and its events in batches.
//!
//! A batch a frame instead of an update a message is what keeps the page usable at thousands of
//! messages a second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::StreamExt;
use gloo_timers::callback::Timeout;
use leptos::task::spawn_local;

use super::super::playground::Event;
use super::now;
use crate::client::{self, Handle, Options, SubSocket};

/// The shortest time between two updates of the page, in milliseconds.
const BATCH_MS: f64 = 60.0;

thread_local! {
    static HANDLE: RefCell<Option<Handle>> = const { RefCell::new(None) };
    /// Counts connections, so that what an earlier one still says is not taken for the new one's.
    static CONNECTION: Cell<u32> = const { Cell::new(0) };
}

/// Opens a connection; what happens on it comes to `events` in batches, with times in
/// milliseconds since 1970.
pub(crate) fn open(url: &str, events: impl Fn(Vec<(f64, Event)>) + 'static) {
    let connection = CONNECTION.get() + 1;
    CONNECTION.set(connection);
    let options = Options {
        manual: true,
        trace: true,
        ..Options::new("")
    };
    let batch = Rc::new(Batch::new(events));
    let mut socket = match SubSocket::open(url, options) {
        Ok(socket) => socket,
        Err(error) => {
            batch.push(Event::Failed(error.to_string()));
            return;
        }
    };
    HANDLE.set(Some(socket.handle()));
    spawn_local(async move {
        while let Some(event) = socket.next().await {
            if CONNECTION.get() != connection {
                return;
            }
            if let Some(event) = seen(event) {
                batch.push(event);
            }
        }
    });
}

/// Sends a text as it is. The error says why not.
pub(crate) fn send(text: String) -> Result<(), String> {
    HANDLE.with_borrow(|handle| {
        let handle = handle.as_ref().ok_or("there is no connection")?;
        handle.send_raw(text).map_err(|error| error.to_string())
    })
}

/// Closes the connection in order.
pub(crate) fn close() {
    HANDLE.with_borrow(|handle| {
        if let Some(handle) = handle {
            handle.close();
        }
    });
}

/// What the playground needs of the client's events: it reads the frames itself.
fn seen(event: client::Event) -> Option<Event> {
    match event {
        client::Event::Opened => Some(Event::Opened),
        client::Event::Sent(text) => Some(Event::Sent(text)),
        client::Event::Received(text) => Some(Event::Received(text)),
        client::Event::Binary(bytes) => Some(Event::Failed(format!(
            "A binary frame of {} bytes came; this protocol is JSON text.",
            bytes.len()
        ))),
        client::Event::Closed { code, reason, .. } => Some(Event::Closed { code, reason }),
        _ => None,
    }
}

/// Events since the last update of the page.
struct Batch<F> {
    events: RefCell<Vec<(f64, Event)>>,
    last: Cell<f64>,
    due: Cell<bool>,
    take: F,
}

impl<F: Fn(Vec<(f64, Event)>) + 'static> Batch<F> {
    fn new(take: F) -> Self {
        Self {
            events: RefCell::default(),
            last: Cell::new(0.0),
            due: Cell::new(false),
            take,
        }
    }

    fn push(self: &Rc<Self>, event: Event) {
        let at = now();
        self.events.borrow_mut().push((at, event));
        if self.due.replace(true) {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to BATCH_MS"
        )]
        let wait = (BATCH_MS - (at - self.last.get())).clamp(0.0, BATCH_MS) as u32;
        let this = Rc::clone(self);
        Timeout::new(wait, move || {
            this.due.set(false);
            this.last.set(now());
            (this.take)(this.events.take());
        })
        .forget();
    }
}
