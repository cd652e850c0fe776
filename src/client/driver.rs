//! Moves bytes and time between the pure machine, the platform's WebSocket and the program.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::event::Event;
use super::handle::{Answer, Shared};
use super::machine::Machine;
use super::options::Options;
use super::platform::{self, Clock, Sleep, Wire};
use super::port::{Ending, Input, Output};
use super::queue::{Queue, Refused};

/// Events that may wait inside the driver before it takes no more commands. More than one frame's
/// worth gather here only when the program does not read its stream.
const MAX_WAITING_EVENTS: usize = 64;

/// What a WebSocket has to say.
pub(super) enum Incoming {
    Opened,
    Text(String),
    Binary(Vec<u8>),
    Closed(Ending),
}

/// One socket's task. Ends when the machine is done.
pub(super) struct Driver {
    url: String,
    max_message_bytes: usize,
    ca_certificates: Option<String>,
    machine: Machine<Answer>,
    shared: Arc<Shared>,
    events: Arc<Queue<Event>>,
    wire: Option<Wire>,
    clock: Clock,
    timer: Option<(Duration, Sleep)>,
    outgoing: VecDeque<String>,
    /// A close that waits until everything before it went out.
    closing: Option<(u16, String)>,
    waiting: VecDeque<Event>,
    aborted: Option<&'static str>,
    abandoned: bool,
    done: bool,
}

impl Driver {
    pub(super) fn new(
        url: String,
        mut options: Options,
        shared: Arc<Shared>,
        events: Arc<Queue<Event>>,
    ) -> Self {
        let clock = Clock::start();
        Self {
            url,
            max_message_bytes: options.max_message_bytes,
            ca_certificates: options.ca_certificates.take(),
            machine: Machine::new(clock.now(), options),
            shared,
            events,
            wire: None,
            clock,
            timer: None,
            outgoing: VecDeque::new(),
            closing: None,
            waiting: VecDeque::new(),
            aborted: None,
            abandoned: false,
            done: false,
        }
    }

    fn handle(&mut self, input: Input<'_, Answer>) {
        self.machine.handle(self.clock.now(), input);
    }

    /// Carries out what the machine wants.
    fn obey(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect => {
                    self.wire = Some(Wire::open(
                        &self.url,
                        self.max_message_bytes,
                        self.ca_certificates.as_deref(),
                    ));
                }
                Output::Send(text) => self.outgoing.push_back(text),
                Output::Close { code, reason } => self.closing = Some((code, reason)),
                Output::Abort(reason) => self.aborted = Some(reason),
                Output::Event(event) => self.waiting.push_back(event),
                Output::Answer(answer, result) => drop(answer.send(result)), // it may not be waited for
                Output::Done => self.done = true,
            }
        }
    }

    /// Hands events to the program as far as there is room.
    fn tell(&mut self, cx: &mut Context<'_>) {
        let closed = self.events.watch(cx);
        while let Some(event) = self.waiting.pop_front() {
            let cost = event.cost();
            match self.events.push(event, cost) {
                Ok(()) => {}
                Err(Refused::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                Err(Refused::Closed(_)) => self.waiting.clear(),
            }
        }
        if closed && !self.abandoned {
            self.abandoned = true;
            self.handle(Input::Abandoned);
        }
    }

    /// Takes in what the program took from its stream.
    fn acknowledge(&mut self, cx: &Context<'_>) {
        for (topic, receipt) in self.shared.taken.drain(cx) {
            self.handle(Input::Taken { topic, receipt });
        }
    }

    /// Writes what can be written now.
    fn write(&mut self, cx: &mut Context<'_>) {
        let Some(wire) = &mut self.wire else { return };
        while !self.outgoing.is_empty() && wire.poll_ready(cx).is_ready() {
            if let Some(text) = self.outgoing.pop_front() {
                wire.send(text);
            }
        }
        if self.outgoing.is_empty()
            && let Some((code, reason)) = self.closing.take()
        {
            wire.close(code, &reason);
        }
        // Pending wakes the task again.
        let _ = wire.flush(cx);
    }

    fn ended(&mut self, ending: Ending) {
        self.wire = None;
        self.outgoing.clear();
        self.closing = None;
        self.shared.open.store(false, Ordering::Release);
        // The high half is as random as the whole.
        let random = (platform::random() >> 64) as u64;
        self.handle(Input::Closed { ending, random });
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Opened => {
                self.shared.open.store(true, Ordering::Release);
                self.handle(Input::Opened);
            }
            Incoming::Text(text) => self.handle(Input::Text(&text)),
            Incoming::Binary(bytes) => self.handle(Input::Binary(bytes)),
            Incoming::Closed(ending) => self.ended(ending),
        }
    }

    /// Does one thing that can be done now; false when there is none.
    fn step(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(reason) = self.aborted.take() {
            self.ended(Ending::cut(reason));
            return true;
        }
        if self.outgoing.is_empty()
            && self.waiting.len() < MAX_WAITING_EVENTS
            && let Poll::Ready(Some(command)) = self.shared.commands.poll_pop(cx)
        {
            self.handle(Input::Command(command));
            return true;
        }
        // A program that does not read stops the reading here, and so the gateway.
        if self.waiting.is_empty()
            && let Some(wire) = &mut self.wire
            && let Poll::Ready(incoming) = wire.poll_incoming(cx)
        {
            self.incoming(incoming);
            return true;
        }
        self.due(cx)
    }

    fn due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.machine.deadline() else {
            self.timer = None;
            return false;
        };
        let now = self.clock.now();
        if deadline <= now {
            self.timer = None;
            self.handle(Input::Tick);
            return true;
        }
        // The deadline moves with every frame. A timer that fires too early is only set anew.
        if self.timer.as_ref().is_none_or(|(at, _)| *at > deadline) {
            self.timer = Some((deadline, platform::sleep(deadline - now)));
        }
        let fired = self
            .timer
            .as_mut()
            .is_some_and(|(_, sleep)| Pin::new(sleep).poll(cx).is_ready());
        if fired {
            self.timer = None;
        }
        fired
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        loop {
            driver.obey();
            driver.tell(cx);
            driver.acknowledge(cx);
            driver.obey();
            driver.write(cx);
            if driver.done {
                if driver.waiting.is_empty() || driver.abandoned {
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            if !driver.step(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Driver {
    /// Also when the runtime drops the task: nobody may wait for answers that cannot come.
    fn drop(&mut self) {
        self.shared.open.store(false, Ordering::Release);
        self.shared.commands.discard();
        self.events.close();
    }
}
