//! The order in which known addresses of a peer are tried.

use std::net::SocketAddr;

/// Candidates (profile, Selection): the last good one, then those the person gave, then those a
/// rendezvous server named; in each group IPv6 and IPv4 alternate, none comes twice, and `most` are kept.
pub fn candidates(
    last_good: Option<SocketAddr>,
    given: &[SocketAddr],
    found: &[SocketAddr],
    most: usize,
) -> Vec<SocketAddr> {
    let mut ordered: Vec<SocketAddr> = Vec::new();
    for address in last_good.into_iter().chain(alternating(given)).chain(alternating(found)) {
        if ordered.len() < most && !ordered.contains(&address) {
            ordered.push(address);
        }
    }
    ordered
}

fn alternating(group: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let mut v6 = group.iter().copied().filter(SocketAddr::is_ipv6);
    let mut v4 = group.iter().copied().filter(SocketAddr::is_ipv4);
    let mut v6_next = true;
    std::iter::from_fn(move || {
        let (first, second): (&mut dyn Iterator<Item = _>, &mut dyn Iterator<Item = _>) =
            if v6_next { (&mut v6, &mut v4) } else { (&mut v4, &mut v6) };
        v6_next = !v6_next;
        first.next().or_else(|| second.next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn alternates_families_within_each_source() {
        let given = parse(&["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1"]);
        let found = parse(&["192.0.2.3:1", "[2001:db8::2]:1", "192.0.2.1:1", "192.0.2.4:1"]);
        let last = Some("192.0.2.2:1".parse().unwrap());
        let expected =
            parse(&["192.0.2.2:1", "[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.3:1", "192.0.2.4:1"]);
        assert_eq!(candidates(last, &given, &found, 6), expected);
        assert_eq!(candidates(None, &[], &found, 1), parse(&["[2001:db8::2]:1"]));
    }
}
