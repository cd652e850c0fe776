//! Everything the page asks of the browser, in one place: with `hydrate` it asks, on the server
//! there is nobody to ask.

#[cfg(feature = "hydrate")]
mod files;
#[cfg(feature = "hydrate")]
mod live;
#[cfg(feature = "hydrate")]
mod rows;
#[cfg(feature = "hydrate")]
mod socket;
#[cfg(feature = "hydrate")]
mod storage;
#[cfg(feature = "hydrate")]
mod verify;

#[cfg(feature = "hydrate")]
pub(crate) use {files::*, live::*, rows::*, socket::*, storage::*, verify::*};

#[cfg(not(feature = "hydrate"))]
mod absent;
#[cfg(not(feature = "hydrate"))]
pub(crate) use absent::*;

/// What is kept between visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The last choices.
    Choices,
    /// Messages under names.
    Library,
}
