//! Three peers, two brokers, and everything at random.

use crate::net::{Faults, Net, Node};
use rand_core::Rng as _;
use std::collections::BTreeSet;
use waypost_proofpeer::{MessageStatus, Settings};
use waypost_testkit::{SimRng, sim::Counts, storm};

/// The peer that a storm may treat otherwise.
const THIRD: usize = 2;

/// What the third peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Third {
    Alike,
    /// It knows only the seed.
    Literal,
    /// Its process ends and begins again.
    Restarts,
}

/// A message that was accepted.
struct Sent {
    from: usize,
    to: usize,
    text: String,
    id: u64,
    reliable: bool,
}

/// Every reliable message is delivered once or said to have failed, nothing is delivered twice.
#[test]
fn storm_every_message_comes_once_or_is_given_up() {
    storm::run("proofpeer", 24, |seed| {
        let third = [Third::Alike, Third::Literal, Third::Restarts][(seed % 3) as usize];
        let settings = |at| Settings { literal: at == THIRD && third == Third::Literal, ..Settings::default() };
        let nodes = (0..3).map(|at| Node::new(seed * 10 + at as u64, settings(at))).collect();
        let mut net = Net::new(2, nodes);
        net.meet();
        let mut rng = SimRng::new(seed).fork("storm");
        let mut draw = move |below: u64| rng.next_u64() % below;
        net.set_faults(Faults { loss: draw(40) as u32, twice: draw(40) as u32, jitter: 1 + draw(3000) });
        let mut sent: Vec<Sent> = Vec::new();
        let mut up = [true; 2];
        for id in 0..120 {
            match draw(20) {
                0 => {
                    let at = draw(2) as usize;
                    up[at] = !up[at];
                    if up[at] { net.revive(at) } else { net.kill(at) }
                }
                1 if third == Third::Restarts && draw(4) == 0 => {
                    let peer = net.nodes[THIRD].again(seed * 1000 + id, Settings::default());
                    net.restart(THIRD, peer);
                    net.join(THIRD, "lobby", None);
                }
                1 => net.leave_and_join(draw(3) as usize),
                2 => {
                    let node = draw(3) as usize;
                    let _ = net.broadcast(node, "lobby", &format!("{seed}/{id}"));
                }
                _ => {
                    let (from, reliable) = (draw(3) as usize, draw(4) > 0);
                    let to = (from + 1 + draw(2) as usize) % 3;
                    let mut text = format!("{seed}/{id}/");
                    if draw(8) == 0 {
                        text.push_str(&"x".repeat(draw(150_000) as usize));
                    }
                    if net.try_send(from, to, id, text.as_bytes(), reliable).is_ok() {
                        sent.push(Sent { from, to, text, id, reliable });
                    }
                }
            }
            net.run(draw(8000));
        }
        // In the end the world is good again.
        net.set_faults(Faults::default());
        (0..2).filter(|at| !up[*at]).for_each(|at| net.revive(at));
        net.run(400_000);
        judge(&net, &sent, third)
    });
}

fn judge(net: &Net, sent: &[Sent], third: Third) -> Counts {
    let mut counts = Counts::new();
    for (at, node) in net.nodes.iter().enumerate() {
        // A process that begins again knows nothing of what the one before has delivered.
        if at != THIRD || third != Third::Restarts {
            let texts = [node.texts(), node.broadcasts().into_iter().map(|(text, _)| text).collect()];
            for texts in texts {
                assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{at} got something twice");
            }
        }
    }
    for message in sent {
        if message.from == THIRD && third == Third::Restarts {
            continue;
        }
        let came = net.nodes[message.to].texts().contains(&message.text);
        let last = *net.statuses(message.from, message.id).last().unwrap();
        let receipts = third != Third::Literal || (message.from != THIRD && message.to != THIRD);
        let end = match (message.reliable, last, came) {
            (true, MessageStatus::Delivered, true) if receipts => "delivered",
            (true, MessageStatus::Refused | MessageStatus::Failed | MessageStatus::Expired, _) => "given up",
            (true, MessageStatus::Unconfirmed, _) if !receipts => "unconfirmed",
            (false, MessageStatus::Sent, true) => "sent and came",
            (false, MessageStatus::Sent | MessageStatus::Failed, false) => "lost",
            (reliable, last, came) => {
                let Sent { from, to, id, .. } = message;
                panic!("message {id} from {from} to {to}: reliable {reliable}, {last:?}, came {came}, {third:?}")
            }
        };
        *counts.entry(end).or_default() += 1;
    }
    counts
}

impl Net {
    fn leave_and_join(&mut self, node: usize) {
        self.leave(node, "lobby");
        self.run(100);
        self.join(node, "lobby", None);
    }
}
