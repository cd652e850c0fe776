//! The sockets of the page: the Rust client in manual mode for each, and what happens to them in
//! batches.
//!
//! A batch a frame instead of an update a message is what keeps the page usable at thousands of
//! messages a second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::StreamExt;
use leptos::task::spawn_local;

use super::super::playground::client::ClientId;
use super::super::playground::{Event, Happened};
use super::{later, now};
use crate::client::{self, Handle, Options, SubSocket};

/// The shortest time between two updates of the page, in milliseconds.
const BATCH_MS: f64 = 60.0;

/// A client's connection.
#[derive(Default)]
struct Connection {
    handle: Option<Handle>,
    /// Counts connections, so that what an earlier one still says is not taken for the new one's.
    number: u32,
}

thread_local! {
    static CONNECTIONS: RefCell<[Connection; ClientId::ALL.len()]> = RefCell::default();
    static BATCH: Batch = Batch::default();
}

/// From now on, what happens to the sockets comes to `take` in batches.
pub(crate) fn on_events(take: impl Fn(Vec<Happened>) + 'static) {
    BATCH.with(|batch| batch.take.replace(Some(Rc::new(take))));
}

/// Opens a connection in the place of the client's last one.
pub(crate) fn open(client: ClientId, url: &str) {
    let options = Options {
        manual: true,
        trace: true,
        ..Options::new("")
    };
    let opened = SubSocket::open(url, options);
    let number = CONNECTIONS.with_borrow_mut(|connections| {
        let connection = &mut connections[client.place()];
        connection.number += 1;
        if let Some(earlier) = &connection.handle {
            earlier.close();
        }
        connection.handle = opened.as_ref().ok().map(SubSocket::handle);
        connection.number
    });
    let mut socket = match opened {
        Ok(socket) => socket,
        Err(error) => return push(client, Event::Failed(error.to_string())),
    };
    let is_current = move || CONNECTIONS.with_borrow(|all| all[client.place()].number == number);
    spawn_local(async move {
        while let Some(event) = socket.next().await {
            if !is_current() {
                return;
            }
            if let Some(event) = seen(event) {
                push(client, event);
            }
        }
    });
}

/// Sends a text as it is. The error says why not.
pub(crate) fn send(client: ClientId, text: String) -> Result<(), String> {
    CONNECTIONS.with_borrow(|connections| {
        let handle = connections[client.place()].handle.as_ref();
        let handle = handle.ok_or("there is no connection")?;
        handle.send_raw(text).map_err(|error| error.to_string())
    })
}

/// Closes the connection in order.
pub(crate) fn close(client: ClientId) {
    CONNECTIONS.with_borrow(|connections| {
        if let Some(handle) = &connections[client.place()].handle {
            handle.close();
        }
    });
}

/// Closes the connection in order and hears no more of it. What came until now is told first.
pub(crate) fn part(client: ClientId) {
    BATCH.with(Batch::hand_over);
    CONNECTIONS.with_borrow_mut(|connections| {
        let connection = &mut connections[client.place()];
        connection.number += 1;
        if let Some(handle) = connection.handle.take() {
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

type Take = Rc<dyn Fn(Vec<Happened>)>;

/// Events since the last update of the page.
#[derive(Default)]
struct Batch {
    events: RefCell<Vec<Happened>>,
    last: Cell<f64>,
    due: Cell<bool>,
    take: RefCell<Option<Take>>,
}

impl Batch {
    fn hand_over(&self) {
        self.due.set(false);
        self.last.set(now());
        let take = self.take.borrow().clone();
        if let Some(take) = take {
            take(self.events.take());
        }
    }
}

fn push(client: ClientId, event: Event) {
    let at = now();
    BATCH.with(|batch| {
        batch
            .events
            .borrow_mut()
            .push(Happened { client, at, event });
        if batch.due.replace(true) {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to BATCH_MS"
        )]
        let wait = (BATCH_MS - (at - batch.last.get())).clamp(0.0, BATCH_MS) as u32;
        later(wait, || BATCH.with(Batch::hand_over));
    });
}
