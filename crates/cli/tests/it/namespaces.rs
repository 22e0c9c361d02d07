//! Two people in networks of their own, who reach a relay and not each other, until they do.

use crate::operator::{Operator, address};
use crate::people::{DEADLINE, Person};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

/// Three network namespaces. The people's lead to the relay's, which lets packets through, but for those from one
/// person to the other.
struct Networks {
    relay: String,
    alice: String,
    bob: String,
}

/// Where the relay is for both.
const RELAY: &str = "10.77.0.1";
const ALICE: &str = "10.77.1.2";
const BOB: &str = "10.77.2.2";

impl Networks {
    fn new() -> Self {
        let name = |who: &str| format!("waypost-{}-{who}", std::process::id());
        let networks = Self { relay: name("relay"), alice: name("alice"), bob: name("bob") };
        for name in networks.names() {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        let relay = &networks.relay;
        ip(&["-n", relay, "address", "add", &format!("{RELAY}/32"), "dev", "lo"]);
        for (person, host, link) in [(&networks.alice, ALICE, "to-alice"), (&networks.bob, BOB, "to-bob")] {
            let gateway = host.replace(".2.2", ".2.1").replace(".1.2", ".1.1");
            ip(&["-n", relay, "link", "add", link, "type", "veth", "peer", "name", "up0", "netns", person]);
            ip(&["-n", relay, "address", "add", &format!("{gateway}/24"), "dev", link]);
            ip(&["-n", person, "address", "add", &format!("{host}/24"), "dev", "up0"]);
            ip(&["-n", relay, "link", "set", link, "up"]);
            ip(&["-n", person, "link", "set", "up0", "up"]);
            ip(&["-n", person, "route", "add", "default", "via", &gateway]);
        }
        ip(&["netns", "exec", relay, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        networks.block("add");
        networks
    }

    /// Packets between the people vanish without a word, or no longer.
    fn block(&self, verb: &str) {
        for (from, to) in [(ALICE, BOB), (BOB, ALICE)] {
            ip(&["-n", &self.relay, "rule", verb, "from", from, "to", to, "blackhole"]);
        }
    }

    fn names(&self) -> [&str; 3] {
        [&self.relay, &self.alice, &self.bob]
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in self.names() {
            // Whatever was made goes, also when making the rest has failed.
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let ran = Command::new("ip").args(args).output().expect("this test needs `ip` (iproute2) and root");
    assert!(ran.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&ran.stderr));
}

async fn person(name: &'static str, namespace: &str, host: &str) -> Person {
    let listen = format!("{host}:7300");
    let person = Person::nobody_within(name, namespace, listen.parse().unwrap());
    person.ok(&["init", "--name", name, "--listen", &listen, "--advertise", &listen]).await;
    person.ok(&["config", "set", "sremp.allow_private_endpoints", "true"]).await;
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_cannot_reach_each_other_talk_by_a_relay_and_directly_as_soon_as_they_can() {
    let networks = Networks::new();
    let settings = format!(
        "roles = [\"relay\"]\nadvertise = \"{RELAY}\"\n[relay]\ndisk_percent = 100\nlisten = [\"0.0.0.0:7310\"]\n"
    );
    let operator = Operator::within(&networks.relay, &settings);
    let serving = operator.serve().await;
    let relay = address(&serving, "relay");
    let alice = person("Alice", &networks.alice, ALICE).await;
    let bob = person("Bob", &networks.bob, BOB).await;
    let (_alice_up, _bob_up) = (alice.up().await, bob.up().await);
    for person in [&alice, &bob] {
        let added = person.json(&["server", "add", &relay, "--wait", "60"]).await;
        assert_eq!(added["state"], "ready", "{added}");
    }
    bob.ok(&["contact", "add", &alice.invite().await]).await;
    alice.ok(&["contact", "add", &bob.invite().await]).await;

    for round in 0..3 {
        for (from, to) in [(&alice, "Bob"), (&bob, "Alice")] {
            let trace = send(from, to, &format!("letter {round}")).await;
            assert!(steps(&trace).iter().any(|step| step.starts_with("stored at relay")), "{trace}");
        }
    }
    let pong = alice.json(&["ping", "Bob"]).await;
    assert_eq!(pong["path"], "relay", "{pong}");

    networks.block("delete");
    let begun = Instant::now();
    let direct = loop {
        let pong = alice.json(&["ping", "Bob"]).await;
        if pong["path"] == "direct" {
            break pong;
        }
        assert!(begun.elapsed() < DEADLINE, "{pong}");
    };
    assert!(direct["via"].as_str().unwrap_or_default().contains(BOB), "{direct}");
    for (from, to) in [(&alice, "Bob"), (&bob, "Alice")] {
        let trace = send(from, to, "directly").await;
        assert_eq!(steps(&trace), ["queued", "sent", "delivered"], "{trace}");
    }
    for (person, contact) in [(&alice, "Bob"), (&bob, "Alice")] {
        let page = person.json(&["history", contact]).await;
        assert_eq!(page["entries"].as_array().unwrap().len(), 8, "each once: {page}");
    }
}

/// Sends a letter, waits until it is delivered, gives its trace.
async fn send(from: &Person, to: &str, text: &str) -> Value {
    let sent = from.json(&["send", to, text, "--wait", "60"]).await;
    from.json(&["trace", sent["id"].as_str().unwrap()]).await
}

fn steps(trace: &Value) -> Vec<&str> {
    trace["steps"].as_array().unwrap().iter().filter_map(|step| step["what"].as_str()).collect()
}
