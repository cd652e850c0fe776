//! Which connections are let in: as many as there is room for, and none once the gateway drains.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Gateway;
use crate::metrics::Refused;
use crate::protocol::{ErrorCode, Refusal};

impl Gateway {
    /// Room for one more connection, given back when the permit is dropped.
    ///
    /// # Errors
    /// [`ErrorCode::NotAvailable`] when the gateway is full or going away.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Refusal> {
        if self.is_draining() {
            self.shared.refused(Refused::Draining);
            let text = "the gateway is going away; connect to another one";
            return Err(Refusal::new(ErrorCode::NotAvailable, text));
        }
        let permit = Permit {
            gateway: self.clone(),
            order: self.admitted.fetch_add(1, Ordering::Relaxed),
        };
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let most = self.max_connections();
        if most > 0 && before >= most {
            self.shared.refused(Refused::Full);
            let text = format!("all {most} connections are taken; try again");
            return Err(Refusal::new(ErrorCode::NotAvailable, text));
        }
        Ok(permit)
    }

    /// From now on no new connection is admitted and [`Gateway::ready`] says no.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is going away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// WebSockets open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many WebSockets may be open; 0 is no limit.
    #[must_use]
    pub fn max_connections(&self) -> u64 {
        self.max_connections.load(Ordering::Relaxed)
    }

    /// Changes how many WebSockets may be open. Those that are stay.
    pub fn set_max_connections(&self, most: usize) {
        self.max_connections.store(most as u64, Ordering::Relaxed);
    }
}

/// A connection's place under `max-connections`.
pub struct Permit {
    gateway: Arc<Gateway>,
    order: u64,
}

impl Permit {
    /// Connections that were admitted later have a higher one. It is given before the client hears of
    /// being admitted, so a socket that a client opens because it gave up another has a higher one.
    #[must_use]
    pub const fn order(&self) -> u64 {
        self.order
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gateway.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
