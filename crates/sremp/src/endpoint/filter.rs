//! Which addresses are not dialled when somebody else named them. Profile, Rendezvous, Address filter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From whom an endpoint is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The user typed it, or accepted the invitation it stands in.
    FromUser,
    /// A server said it, or an identity.
    FromOthers,
}

/// Keeps servers and strangers from making a client dial inside its own network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressFilter {
    /// Everything may be dialled, whoever named it: for networks without the Internet.
    pub allow_private_endpoints: bool,
}

impl AddressFilter {
    /// Whether an address may be dialled. For a name this is asked of the address it was resolved to, just
    /// before that is dialled.
    pub fn permits(self, address: IpAddr, learned: Learned) -> bool {
        self.allow_private_endpoints || learned == Learned::FromUser || is_public(address)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    !(address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_private()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = embedded_v4(address);
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address.is_unique_local()
        || embedded.is_some_and(|inside| !is_public_v4(inside)))
}

/// The IPv4 address that packets to this address end at: translated (64:ff9b::/96), 6to4 (2002::/16), or
/// just written in IPv6, as a resolver may give it.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => address.to_ipv4(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-6c
    #[test]
    fn does_not_dial_inside_a_network_because_others_say_so() {
        let private = [
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fc00::1",
            "fdff::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::1",
            "2002:c0a8:101::",
            "::ffff:192.168.0.1",
            "::10.0.0.1",
        ];
        let public = [
            "192.0.2.7",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "223.255.255.255",
            "11.0.0.1",
            "2001:db8::7",
            "64:ff9b::192.0.2.7",
            "2002:c000:201::1",
            "::ffff:192.0.2.7",
        ];
        let filter = AddressFilter::default();
        for address in private {
            let address: IpAddr = address.parse().unwrap();
            assert!(!filter.permits(address, Learned::FromOthers), "{address}");
            assert!(filter.permits(address, Learned::FromUser), "{address}");
            assert!(AddressFilter { allow_private_endpoints: true }.permits(address, Learned::FromOthers));
        }
        for address in public {
            assert!(filter.permits(address.parse().unwrap(), Learned::FromOthers), "{address}");
        }
    }
}
