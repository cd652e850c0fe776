//! Who has come and is not set up yet, and how many come from one address.
//!
//! A guest is a TCP connection from its accept on. Until a session is set up on it, in TLS, in HTTP
//! or as a WebSocket, it is pending, and there is room for so many of those: who only connects cannot
//! take the memory of those who use it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::metrics::{Pending, Refused};

/// Guests of one address beyond its limit that are told so; further ones are dropped without a word.
const TOLD: usize = 16;

/// The limits, and who counts against them. 0 is no limit.
pub(super) struct Guests {
    pending: Arc<Pending>,
    per_address: usize,
    addresses: Mutex<HashMap<u64, usize>>,
}

/// One connection's place among the guests, given back when it is dropped.
pub struct Guest {
    guests: Arc<Guests>,
    address: u64,
    pending: AtomicBool,
    too_many: bool,
    came: SystemTime,
}

impl Guests {
    pub(super) fn new(pending: Arc<Pending>, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            pending,
            per_address,
            addresses: Mutex::default(),
        })
    }

    /// Takes a place for a connection from this address.
    ///
    /// # Errors
    /// Which limit leaves none.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Result<Arc<Guest>, Refused> {
        let mut too_many = false;
        let address = household(from);
        if self.per_address > 0 {
            let mut addresses = self.addresses.lock();
            let count = addresses.entry(address).or_default();
            if *count >= self.per_address + TOLD {
                return Err(Refused::Address);
            }
            *count += 1;
            too_many = *count > self.per_address;
        }
        let before = self.pending.now.fetch_add(1, Ordering::Relaxed);
        // Dropped, it gives back what it took.
        let guest = Guest {
            guests: self.clone(),
            address,
            pending: AtomicBool::new(true),
            too_many,
            came: SystemTime::now(),
        };
        let limit = self.pending.limit.load(Ordering::Relaxed);
        if limit > 0 && before >= limit {
            return Err(Refused::Pending);
        }
        Ok(Arc::new(guest))
    }
}

impl Guest {
    /// Whether its address has more connections than it may.
    pub(super) const fn is_too_many(&self) -> bool {
        self.too_many
    }

    /// When it was accepted.
    pub(super) const fn came(&self) -> SystemTime {
        self.came
    }

    /// It is set up: no guest any more. Whether its address still counts it.
    pub(super) fn is_set_up(&self) -> bool {
        if self.pending.swap(false, Ordering::Relaxed) {
            self.guests.pending.now.fetch_sub(1, Ordering::Relaxed);
        }
        self.guests.per_address > 0
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.is_set_up() {
            return;
        }
        let mut addresses = self.guests.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// Whom an address belongs to: IPv4 as it is; of IPv6 the first 64 bits, which is what one customer
/// gets at least.
fn household(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // No prefix that is given to anybody begins like this.
        IpAddr::V4(v4) => 0xffff << 32 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn guests(limit: u64, per_address: usize) -> Arc<Guests> {
        let pending = Pending::default();
        pending.limit.store(limit, Ordering::Relaxed);
        Guests::new(Arc::new(pending), per_address)
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let guests = guests(0, 2);
        let mut inside: Vec<_> = (0..2 + TOLD)
            .map(|_| guests.enter(from("10.0.0.1")).unwrap())
            .collect();
        assert_eq!(inside.iter().filter(|g| g.is_too_many()).count(), TOLD);
        assert_eq!(guests.enter(from("10.0.0.1")).err(), Some(Refused::Address));
        assert!(!guests.enter(from("10.0.0.2")).unwrap().is_too_many());
        // Set up or not, it counts until it is gone.
        assert!(inside[0].is_set_up());
        inside.truncate(1);
        assert!(!guests.enter(from("10.0.0.1")).unwrap().is_too_many());
        inside.clear();
        assert!(guests.addresses.lock().is_empty());
    }

    #[test]
    fn ipv6_counts_by_64_bits_and_mapped_ipv4_as_ipv4() {
        assert_eq!(
            household(from("2001:db8::1")),
            household(from("2001:db8::ffff:1"))
        );
        assert_ne!(
            household(from("2001:db8::1")),
            household(from("2001:db8:0:1::1"))
        );
        assert_eq!(
            household(from("::ffff:10.0.0.1")),
            household(from("10.0.0.1"))
        );
        assert_ne!(household(from("::1")), household(from("10.0.0.1")));
    }

    #[test]
    fn only_those_who_are_not_set_up_are_pending() {
        let guests = guests(2, 0);
        let here = from("10.0.0.1");
        let first = guests.enter(here).unwrap();
        let second = guests.enter(here).unwrap();
        assert_eq!(guests.enter(here).err(), Some(Refused::Pending));
        assert!(!first.is_set_up());
        let third = guests.enter(here).unwrap();
        drop((first, second));
        assert_eq!(guests.pending.now.load(Ordering::Relaxed), 1);
        drop(third);
        assert_eq!(guests.pending.now.load(Ordering::Relaxed), 0);
    }
}
