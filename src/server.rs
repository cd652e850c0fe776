//! Started, drained, stopped.
