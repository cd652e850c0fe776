//! Uses: nothing.
