//! How many connections are taken, from whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounds on connections. A connection is half-open until its peer's identity is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Half-open ones of one network: IPv4 /24, IPv6 /56 (profile, Connection).
    pub half_open_per_network: usize,
    /// Half-open ones in all (profile, Connection).
    pub half_open: usize,
    /// Accepted ones of one host, IPv4 address or IPv6 /64, half-open or not. Above the half-open
    /// bound of a network, so that it never decides before that does.
    pub per_host: usize,
    /// Accepted ones of strangers, in all; with the buffers of one it bounds the memory. Contacts
    /// always find room.
    pub strangers: usize,
    /// Dialled ones in all.
    pub dialled: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { half_open_per_network: 64, half_open: 1024, per_host: 128, strangers: 256, dialled: 1024 }
    }
}

/// Counts connections and refuses those beyond a bound. Copies share their counts.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: ConnectionLimits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    half_open: usize,
    strangers: usize,
    half_open_by_network: HashMap<IpAddr, usize>,
    by_host: HashMap<IpAddr, usize>,
}

impl Gate {
    /// A gate through which nobody went yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// Lets one in as half-open, unless a bound is reached: then it must be closed at once.
    pub fn admit(&self, from: IpAddr) -> Option<Permit> {
        let (host, network) = (host(from), network(from));
        let mut counts = self.counts();
        let count = |map: &HashMap<IpAddr, usize>, key| map.get(&key).copied().unwrap_or(0);
        if counts.half_open >= self.limits.half_open
            || count(&counts.half_open_by_network, network) >= self.limits.half_open_per_network
            || count(&counts.by_host, host) >= self.limits.per_host
        {
            return None;
        }
        counts.half_open += 1;
        *counts.half_open_by_network.entry(network).or_default() += 1;
        *counts.by_host.entry(host).or_default() += 1;
        drop(counts);
        Some(Permit { gate: self.clone(), host, network, standing: Standing::HalfOpen })
    }

    /// How many are half-open.
    pub fn half_open(&self) -> usize {
        self.counts().half_open
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counting cannot panic half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    host: IpAddr,
    network: IpAddr,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    HalfOpen,
    Identified,
    Stranger,
}

impl Permit {
    /// The peer's identity is verified: it no longer counts as half-open.
    pub fn identified(&mut self) {
        if self.standing == Standing::HalfOpen {
            self.standing = Standing::Identified;
            let mut counts = self.gate.counts();
            counts.half_open = counts.half_open.saturating_sub(1);
            leave(&mut counts.half_open_by_network, self.network);
        }
    }

    /// The peer is no contact. Gives whether there is room for one more of them.
    pub fn stranger(&mut self) -> bool {
        self.identified();
        let mut counts = self.gate.counts();
        if self.standing == Standing::Stranger {
            return true;
        }
        if counts.strangers >= self.gate.limits.strangers {
            return false;
        }
        counts.strangers += 1;
        self.standing = Standing::Stranger;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.identified();
        let mut counts = self.gate.counts();
        leave(&mut counts.by_host, self.host);
        if self.standing == Standing::Stranger {
            counts.strangers = counts.strangers.saturating_sub(1);
        }
    }
}

fn leave(map: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = map.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            map.remove(&key);
        }
    }
}

/// IPv4 /24, IPv6 /56.
fn network(address: IpAddr) -> IpAddr {
    prefix(address, 24, 56)
}

/// IPv4 address, IPv6 /64: what one machine usually has.
fn host(address: IpAddr) -> IpAddr {
    prefix(address, 32, 64)
}

fn prefix(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & (u32::MAX << (32 - v4))).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << (128 - v6))).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn bounds_half_open_connections_of_a_network_and_in_all() {
        let gate = Gate::new(ConnectionLimits::default());
        let mut permits: Vec<_> = (0..64).map(|n| gate.admit(ip(&format!("192.0.2.{n}"))).unwrap()).collect();
        assert!(gate.admit(ip("192.0.2.200")).is_none());
        assert!(gate.admit(ip("::ffff:192.0.2.200")).is_none(), "an IPv4 address in IPv6 form is the same network");
        permits.push(gate.admit(ip("192.0.3.1")).unwrap());
        permits[0].identified();
        permits.push(gate.admit(ip("192.0.2.200")).unwrap());
        for network in 0.. {
            match gate.admit(ip(&format!("10.{}.{}.1", network / 256, network % 256))) {
                Some(permit) => permits.push(permit),
                None => break,
            }
        }
        assert_eq!((permits.len(), gate.half_open()), (1025, 1024));
        permits.clear();
        assert_eq!(gate.half_open(), 0);
        assert!(gate.counts().by_host.is_empty() && gate.counts().half_open_by_network.is_empty());
    }

    #[test]
    fn counts_ipv6_networks_by_56_bits() {
        let gate = Gate::new(ConnectionLimits { half_open_per_network: 1, ..ConnectionLimits::default() });
        let _permit = gate.admit(ip("2001:db8:0:100::1")).unwrap();
        assert!(gate.admit(ip("2001:db8:0:1ff::2")).is_none());
        assert!(gate.admit(ip("2001:db8:0:200::1")).is_some());
    }

    #[test]
    fn bounds_the_connections_of_one_host_even_when_identified() {
        let gate = Gate::new(ConnectionLimits { per_host: 2, ..ConnectionLimits::default() });
        let mut permits = vec![gate.admit(ip("192.0.2.1")).unwrap(), gate.admit(ip("192.0.2.1")).unwrap()];
        permits.iter_mut().for_each(Permit::identified);
        assert!(gate.admit(ip("192.0.2.1")).is_none());
        permits.push(gate.admit(ip("192.0.2.2")).unwrap());
        permits.remove(0);
        assert!(gate.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn bounds_strangers_but_not_contacts() {
        let gate = Gate::new(ConnectionLimits { strangers: 1, ..ConnectionLimits::default() });
        let mut permits: Vec<_> = (0..3).map(|_| gate.admit(ip("192.0.2.1")).unwrap()).collect();
        assert!(permits[0].stranger() && permits[0].stranger());
        permits[1].identified();
        assert!(!permits[2].stranger());
        permits.remove(0);
        assert!(permits[1].stranger());
    }
}
