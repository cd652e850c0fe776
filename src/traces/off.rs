//! There are no traces.

use std::io;
use std::time::SystemTime;

use super::Collector;

/// Nobody is told.
#[derive(Debug, Clone, Default)]
pub struct Traces(());

/// There is none.
#[derive(Debug)]
pub enum Span {}

impl Traces {
    /// Tells nobody.
    ///
    /// # Errors
    /// When there is a collector to tell.
    pub fn start(collector: Option<&Collector>) -> io::Result<Self> {
        match collector {
            None => Ok(Self(())),
            Some(_) => Err(io::Error::other("built without the feature otlp")),
        }
    }

    /// Never one.
    #[must_use]
    pub const fn root(&self, _name: &'static str, _since: Option<SystemTime>) -> Option<Span> {
        None
    }

    /// Never one.
    #[must_use]
    pub const fn publish(&self) -> Option<Span> {
        None
    }

    /// Never one.
    #[must_use]
    pub const fn request(&self, _name: &str, _traceparent: Option<&str>) -> Option<Span> {
        None
    }

    /// Nothing is left to send.
    pub const fn finish(&self) {}
}

impl Span {
    /// A part of it.
    #[must_use]
    pub fn child(&self, _name: &'static str) -> Self {
        match *self {}
    }

    /// Says something about it.
    pub fn say(&self, _name: &'static str, _value: &str) {
        match *self {}
    }

    /// Says a number about it.
    pub fn count(&self, _name: &'static str, _value: u64) {
        match *self {}
    }

    /// It failed.
    pub fn failed(&self, _why: &str) {
        match *self {}
    }

    /// Something happened in it now.
    pub fn event(&self, _name: &'static str) {
        match *self {}
    }

    /// It ends now.
    pub fn end(self) {
        match self {}
    }

    /// What is published while the future runs is part of it.
    pub async fn around<T>(&self, _future: impl Future<Output = T>) -> T {
        match *self {}
    }
}
