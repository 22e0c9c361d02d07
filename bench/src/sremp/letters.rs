//! Letters through two nodes in this process: real databases, real sockets on loopback.

mod peer;

use crate::{
    measure::{as_f64, process_time, quantile},
    progress,
    report::Row,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use peer::Inserts;
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, Instant, SystemTime},
};
use tokio::{task::JoinSet, time::timeout};
use waypost_core::{LetterId, Wall};
use waypost_node::{Call, Config, Event, Home, KdfCost, Node, Passphrase, config::Sremp, setup};

/// Calls under way at the same time.
const AT_ONCE: u32 = 64;
/// Letters that go one after the other.
const ONE_BY_ONE: u32 = 300;
/// What is not there by then does not come.
const PATIENCE: Duration = Duration::from_secs(120);
const TEXT: [u8; 200] = [b'w'; 200];

pub(super) fn rows(folder: &Path, letters: u32) -> Result<Vec<Row>> {
    const GROUP: &str = "letters through two nodes, durable";
    progress("SQLite, durable inserts");
    let single = peer::per_second(folder, 1)?;
    let grouped = peer::per_second(folder, AT_ONCE.into())?;
    progress(&format!("{letters} letters through two nodes"));
    let flow = tokio::runtime::Runtime::new()?.block_on(run(folder, letters))?;
    let at_once = format!("{letters} letters, {AT_ONCE} calls at once");
    let ms = |seconds: &[f64], part| quantile(seconds.to_vec(), part) * 1000.0;
    let one_by_one = |what: &str, part| {
        Row::alone(GROUP, format!("one by one, until delivered: {what}"), "ms", ms(&flow.latencies, part))
            .beside_less("SQLite, a row a commit", ms(&flow.peer_latencies, part))
    };
    Ok(vec![
        Row::alone(GROUP, &*at_once, "letters/s", flow.per_second).beside("SQLite, 64 rows a commit", grouped),
        Row::alone(GROUP, at_once, "letters/s", flow.per_second).beside("SQLite, a row a commit", single),
        Row::alone(GROUP, "processor time a letter, both nodes", "us", flow.processor * 1e6),
        one_by_one("median", 0.5),
        one_by_one("p99", 0.99),
    ])
}

struct Flow {
    per_second: f64,
    /// Seconds of processor time a letter.
    processor: f64,
    /// Seconds from the call until delivered.
    latencies: Vec<f64>,
    /// Seconds of an insert of the peer's, each right after a letter.
    peer_latencies: Vec<f64>,
}

async fn run(folder: &Path, letters: u32) -> Result<Flow> {
    let (a, b) = (Person::start(folder, "alice").await?, Person::start(folder, "bob").await?);
    befriend(&a.node, &a.id, &b.node).await?;
    let mut delivered = Delivered::listen(&a.node);
    for number in 0..20 {
        let letter = id(0, number);
        send(&a.node, &b.id, letter).await?;
        delivered.wait(&a.node, HashSet::from([letter])).await?;
    }

    let (mut latencies, mut peer_latencies) = (Vec::new(), Vec::new());
    let mut peer = Inserts::open(&folder.join("peer-beside.db"))?;
    for number in 0..ONE_BY_ONE {
        let (letter, start) = (id(1, number), Instant::now());
        send(&a.node, &b.id, letter).await?;
        delivered.wait(&a.node, HashSet::from([letter])).await?;
        latencies.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        peer.insert(1)?;
        peer_latencies.push(start.elapsed().as_secs_f64());
    }

    let before = unread(&b.node).await?;
    let (start, processor) = (Instant::now(), process_time());
    let waiting: HashSet<_> = (0..letters).map(|number| id(2, number)).collect();
    let mut callers = JoinSet::new();
    for caller in 0..AT_ONCE {
        let (node, to) = (a.node.clone(), b.id.clone());
        callers.spawn(async move {
            for number in (caller..letters).step_by(AT_ONCE as usize) {
                send(&node, &to, id(2, number)).await?;
            }
            anyhow::Ok(())
        });
    }
    delivered.wait(&a.node, waiting).await?;
    let (took, processor) = (start.elapsed().as_secs_f64(), process_time().saturating_sub(processor));
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let arrived = unread(&b.node).await? - before;
    ensure!(arrived == u64::from(letters), "{letters} letters were sent, {arrived} are there");
    for person in [a, b] {
        person.node.stop();
        person.node.stopped().await;
    }
    let letters = as_f64(letters.into());
    Ok(Flow { per_second: letters / took, processor: processor.as_secs_f64() / letters, latencies, peer_latencies })
}

/// A node with its own folder.
pub(super) struct Person {
    pub(super) node: Node,
    pub(super) id: String,
}

impl Person {
    /// Makes an identity and starts its node on loopback.
    pub(super) async fn start(folder: &Path, name: &str) -> Result<Self> {
        let home = Home::new(folder.join(name));
        let sremp = Sremp { listen: vec![([127, 0, 0, 1], 0).into()], ..Sremp::default() };
        let config = Config { sremp, ..Config::default() };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let new = setup::NewIdentity {
            name,
            passphrase: Passphrase::empty(),
            words: None,
            config: config.clone(),
            now: Wall::from_millis(u64::try_from(now)?),
            cost: KdfCost::DANGER_FAST,
        };
        let id = setup::init(&home, new, &mut rand::rng())?.contact.to_string();
        let keys = setup::unlock(&home, Passphrase::empty(), KdfCost::DANGER_FAST)?;
        Ok(Self { node: Node::start(&home, home.lock()?, keys, config).await?, id })
    }
}

/// `b` takes an invite of `a`; returns when each has the other.
async fn befriend(a: &Node, a_id: &str, b: &Node) -> Result<()> {
    let mut events = a.events();
    let card = call(a, "card.show", json!({"invite": true})).await?;
    let link = text(&card, "link")?;
    let added = call(b, "contacts.add", json!({"card": link})).await?;
    ensure!(text(&added, "contact")? == a_id, "the card is of somebody else");
    until(async {
        while call(a, "contacts.list", Value::Null).await?.as_array().is_none_or(Vec::is_empty) {
            events.next().await.context("the node has stopped")?;
        }
        Ok(())
    })
    .await
}

/// A method by its name.
pub(super) async fn call(node: &Node, name: &str, params: Value) -> Result<Value> {
    node.call(Call::parse(name, params)?).await.with_context(|| name.to_owned())
}

/// A field of an answer.
pub(super) fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str> {
    answer.get(field).and_then(Value::as_str).with_context(|| format!("no {field} in the answer"))
}

/// What takes too long fails.
pub(super) async fn until<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.map_err(|_| anyhow!("not done after {} s", PATIENCE.as_secs()))?
}

async fn send(node: &Node, to: &str, letter: LetterId) -> Result<()> {
    let body = json!({"kind": "text", "text": str::from_utf8(&TEXT)?});
    call(node, "letters.send", json!({"to": to, "id": letter, "body": body})).await.map(drop)
}

async fn unread(node: &Node) -> Result<u64> {
    let status = call(node, "node.status", Value::Null).await?;
    status.get("unread").and_then(Value::as_u64).context("no unread in the answer")
}

/// As scattered as random ones.
fn id(series: u64, number: u32) -> LetterId {
    let mixed = (u128::from(series) << 32 | u128::from(number) | 1 << 64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    LetterId::from_bytes(mixed.to_be_bytes())
}

/// Learns which letters were delivered.
struct Delivered {
    events: waypost_node::Events,
}

impl Delivered {
    fn listen(node: &Node) -> Self {
        Self { events: node.events() }
    }

    /// Returns when all of these are.
    async fn wait(&mut self, node: &Node, mut waiting: HashSet<LetterId>) -> Result<()> {
        until(async {
            while !waiting.is_empty() {
                match self.events.next().await {
                    Some(Event::State { letter, state, .. }) if state == "delivered" => {
                        waiting.remove(&letter);
                    }
                    Some(Event::State { letter, state, .. }) if state == "failed" => bail!("{letter} failed"),
                    Some(Event::Missed { .. }) => self.ask(node, &mut waiting).await?,
                    Some(_) => {}
                    None => bail!("the node has stopped"),
                }
            }
            Ok(())
        })
        .await
    }

    /// Some events were missed: the traces say the same.
    async fn ask(&self, node: &Node, waiting: &mut HashSet<LetterId>) -> Result<()> {
        for letter in waiting.clone() {
            // Some are not sent yet, and so not found.
            let Ok(trace) = call(node, "letters.trace", json!({"letter": letter})).await else { continue };
            let steps = trace.get("steps").and_then(Value::as_array).into_iter().flatten();
            if steps.filter_map(|step| step.get("what")).any(|what| what == "delivered") {
                waiting.remove(&letter);
            }
        }
        Ok(())
    }
}
