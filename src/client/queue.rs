//! A queue between the program and its socket's driver, bounded by entries and by bytes.
//!
//! A channel of the libraries bounds entries only, and gives each clone of a sender a slot of its
//! own, which is no bound for a handle that may be cloned at will.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    max_entries: usize,
    max_bytes: usize,
}

struct Inner<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Why an entry was not taken. It is given back.
pub(super) enum Refused<T> {
    Full(T),
    Closed(T),
}

impl<T> Queue<T> {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                entries: VecDeque::new(),
                bytes: 0,
                closed: false,
                reader: None,
                writer: None,
            }),
            max_entries,
            max_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in. An empty queue takes an entry of any size.
    pub(super) fn push(&self, entry: T, bytes: usize) -> Result<(), Refused<T>> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed(entry));
        }
        let full = inner.entries.len() >= self.max_entries
            || inner.bytes.saturating_add(bytes) > self.max_bytes;
        if full && !inner.entries.is_empty() {
            return Err(Refused::Full(entry));
        }
        inner.bytes = inner.bytes.saturating_add(bytes);
        inner.entries.push_back((entry, bytes));
        let reader = inner.reader.take();
        drop(inner);
        wake(reader);
        Ok(())
    }

    /// Puts a last entry in, full or not, and closes the queue. Does nothing on a closed one.
    pub(super) fn push_last(&self, entry: T) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.entries.push_back((entry, 0));
        }
        drop(inner);
        self.close();
    }

    /// Takes the oldest entry; `None` once the queue is closed and empty.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.lock();
        match inner.entries.pop_front() {
            Some((entry, bytes)) => {
                inner.bytes -= bytes;
                let writer = inner.writer.take();
                drop(inner);
                wake(writer);
                Poll::Ready(Some(entry))
            }
            None if inner.closed => Poll::Ready(None),
            None => {
                inner.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether it is closed; the task is woken when it closes or when an entry is taken.
    pub(super) fn watch(&self, cx: &mut Context<'_>) -> bool {
        let mut inner = self.lock();
        if !inner.closed {
            inner.writer = Some(cx.waker().clone());
        }
        inner.closed
    }

    /// Takes nothing more in; what is in it can still be taken out.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let wakers = (inner.reader.take(), inner.writer.take());
        drop(inner);
        wake(wakers.0);
        wake(wakers.1);
    }

    /// Closes it and drops what is in it.
    pub(super) fn discard(&self) {
        self.close();
        let mut inner = self.lock();
        let entries = std::mem::take(&mut inner.entries);
        inner.bytes = 0;
        drop(inner);
        drop(entries);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn pop<T>(queue: &Queue<T>) -> Poll<Option<T>> {
        queue.poll_pop(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn entries_and_bytes_are_bounded() {
        let queue = Queue::new(2, 10);
        assert!(queue.push('a', 99).is_ok(), "an empty queue takes any size");
        assert!(matches!(queue.push('b', 1), Err(Refused::Full('b'))));
        assert_eq!(pop(&queue), Poll::Ready(Some('a')));
        assert!(queue.push('b', 1).is_ok() && queue.push('c', 1).is_ok());
        assert!(matches!(queue.push('d', 1), Err(Refused::Full('d'))));
    }

    #[test]
    fn a_closed_queue_can_be_emptied() {
        let queue = Queue::new(2, 10);
        assert!(queue.push('a', 1).is_ok());
        assert_eq!(pop(&queue), Poll::Ready(Some('a')));
        assert_eq!(pop(&queue), Poll::Pending);
        assert!(queue.push('b', 1).is_ok());
        queue.close();
        assert!(matches!(queue.push('c', 1), Err(Refused::Closed('c'))));
        assert_eq!(pop(&queue), Poll::Ready(Some('b')));
        assert_eq!(pop(&queue), Poll::Ready(None));
    }
}
