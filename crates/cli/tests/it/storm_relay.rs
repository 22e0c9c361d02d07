//! Relay, sender and receiver are killed at random while letters flow by the relay alone: none is lost, none is
//! shown twice, the relay keeps nothing.

use crate::operator::{Operator, address, figure, relay_without_rates};
use crate::people::{DEADLINE, Person, Running};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;
use waypost_api::{Client, ClientError};
use waypost_core::{Body, LetterId};
use waypost_node::Event;
use waypost_node::method::{ContactRef, Entry, HistoryParams, InboxParams, LettersHistory, LettersInbox, LettersSend};
use waypost_node::method::{NodeStatus, Nothing, Page, SendLetter};

/// Letters of a run, for each of `WAYPOST_STORM_COUNT`; there are 20,000 in the full one.
const LETTERS_EACH: usize = 2;
/// The count when nobody says one.
const SLICE: usize = 150;
/// Letters for each kill, when there are many.
const LETTERS_A_KILL: usize = 100;
/// Kills at least.
const KILLS: usize = 6;
/// Letters written at a time.
const AT_ONCE: usize = 16;
/// How long the letters may take that are under way when nobody is killed any more.
const CALM: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// How far it is.
struct Progress {
    /// Letters that Alice's node has on disk.
    written: watch::Sender<usize>,
    /// Who was killed, and came back.
    kills: watch::Sender<usize>,
    /// All is over.
    over: watch::Sender<bool>,
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "figures are for whoever runs the tests")]
async fn storm_sremp_a_relay_and_people_who_are_killed_lose_no_letter_and_show_none_twice() {
    let letters = LETTERS_EACH * number("WAYPOST_STORM_COUNT").unwrap_or(SLICE);
    let kills = KILLS.max(letters / LETTERS_A_KILL);
    let seed = number("WAYPOST_STORM_SEED").unwrap_or(1);
    let begun = Instant::now();
    // The profile's rates forbid so many letters in so little time: the relay's are raised.
    let operator = Operator::new(&relay_without_rates());
    let serving = operator.serve().await;
    let relay = address(&serving, "relay");
    let (alice, bob) = (Person::new("Alice").await, Person::new("Bob").await);
    for person in [&alice, &bob] {
        // Nobody listens where the cards say: all goes by the relay.
        let nowhere = format!("[\"{}:9\"]", person.listen.ip());
        person.ok(&["config", "set", "sremp.advertise", &nowhere]).await;
    }
    let (alice_up, bob_up) = (alice.up().await, bob.up().await);
    for person in [&alice, &bob] {
        let added = person.json(&["server", "add", &relay, "--wait", "60"]).await;
        assert_eq!(added["state"], "ready", "{added}");
    }
    bob.ok(&["contact", "add", &alice.invite().await]).await;
    alice.ok(&["contact", "add", &bob.invite().await]).await;
    alice.ok(&["send", "Bob", "before the storm", "--wait", "60"]).await;

    let progress =
        Progress { written: watch::Sender::new(0), kills: watch::Sender::new(0), over: watch::Sender::new(false) };
    let ids: Vec<LetterId> =
        (0..letters as u128).map(|number| LetterId::from_bytes((number + 1).to_be_bytes())).collect();
    let mut storm = Storm { operator: &operator, alice: &alice, bob: &bob, serving, alice_up, bob_up };
    let work = async {
        tokio::join!(write(&alice, &ids, kills, &progress), storm.rage(kills, letters, seed as u64, &progress));
        let killed_in = begun.elapsed();
        let inbox = all_in_inbox(&bob, letters + 1).await;
        until_delivered(&alice, letters + 1).await;
        progress.over.send_replace(true);
        (inbox, killed_in)
    };
    let (shown, (inbox, killed_in)) = tokio::join!(listen(&bob, &progress), work);

    let mut times: BTreeMap<LetterId, usize> = BTreeMap::new();
    inbox.iter().for_each(|entry| *times.entry(entry.id).or_default() += 1);
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(times.remove(id), Some(1), "letter {number} in the history");
    }
    assert_eq!(times.len(), 1, "nothing but the first letter besides: {times:?}");
    let twice: Vec<_> = shown.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
    assert!(shown.len() >= letters / 4, "events of a few letters only: {}", shown.len());
    storm.relay_becomes_empty().await;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "storm by a relay: {letters} letters, {kills} kills in {seconds:.1} s (the last kill after {:.1} s), {} events",
        killed_in.as_secs_f64(),
        shown.len()
    );
}

/// What runs, and can be killed.
struct Storm<'a> {
    operator: &'a Operator,
    alice: &'a Person,
    bob: &'a Person,
    serving: Running,
    alice_up: Running,
    bob_up: Running,
}

impl Storm<'_> {
    /// Kills somebody each time that so many letters more are written.
    async fn rage(&mut self, kills: usize, letters: usize, seed: u64, progress: &Progress) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut written = progress.written.subscribe();
        for kill in 1..=kills {
            written.wait_for(|written| *written >= kill * letters / (kills + 1)).await.unwrap();
            // Anywhere in what they do now, not always at the same place.
            sleep(Duration::from_millis(rng.random_range(0..300))).await;
            let pause = Duration::from_millis(rng.random_range(0..200));
            match rng.random_range(0..3) {
                0 => {
                    self.serving.kill_now().await;
                    sleep(pause).await;
                    self.serving = self.operator.serve().await;
                }
                1 => {
                    self.alice_up.kill_now().await;
                    sleep(pause).await;
                    self.alice_up = self.alice.up().await;
                }
                _ => {
                    self.bob_up.kill_now().await;
                    sleep(pause).await;
                    self.bob_up = self.bob.up().await;
                }
            }
            progress.kills.send_replace(kill);
        }
    }

    /// What the last confirmations leave behind goes with the next question for letters: when people come back.
    async fn relay_becomes_empty(&mut self) {
        let begun = Instant::now();
        loop {
            // It counts when it starts.
            self.serving.kill_now().await;
            self.serving = self.operator.serve().await;
            let left = loop {
                match figure(&self.serving, "letters").await {
                    Some(left) => break left,
                    None => sleep(LOOK).await,
                }
            };
            if left == 0 {
                return;
            }
            assert!(begun.elapsed() < CALM, "{left} letters and confirmations are left at the relay");
            while figure(&self.serving, "relay_registered").await < Some(2) {
                assert!(begun.elapsed() < CALM, "they do not come back");
                sleep(LOOK).await;
            }
            sleep(LOOK).await;
        }
    }
}

/// Writes all letters, never far ahead of the kills; who is killed is asked again.
async fn write(alice: &Person, ids: &[LetterId], kills: usize, progress: &Progress) {
    let mut done = progress.kills.subscribe();
    let mut client = connect(alice).await;
    let mut written = 0;
    for some in ids.chunks(AT_ONCE) {
        done.wait_for(|done| written <= (done + 2) * ids.len() / (kills + 1)).await.unwrap();
        while !write_some(&client, written, some).await {
            client = connect(alice).await;
        }
        written += some.len();
        progress.written.send_replace(written);
    }
}

/// Whether Alice's node says that all of these are on disk. The same id again changes nothing.
async fn write_some(client: &Client, first: usize, ids: &[LetterId]) -> bool {
    let calls = ids.iter().enumerate().map(async |(number, id)| {
        let body = Body::Text { text: text(first + number) };
        client.call::<LettersSend>(&SendLetter { to: ContactRef("Bob".into()), id: Some(*id), body }).await
    });
    for done in futures::future::join_all(calls).await {
        match done {
            Ok(_) => {}
            Err(ClientError::Lost) => return false,
            Err(error) => panic!("{error}"),
        }
    }
    true
}

fn text(number: usize) -> String {
    format!("letter {number}")
}

/// A connection to a node that may be away at the moment.
async fn connect(person: &Person) -> Client {
    let begun = Instant::now();
    loop {
        match Client::connect(&person.home().join("api.sock")).await {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "{}: {error}", person.name),
        }
        sleep(LOOK).await;
    }
}

/// How often each letter was told by an event as a new one, in all lives of a node.
async fn listen(bob: &Person, progress: &Progress) -> BTreeMap<LetterId, usize> {
    let mut shown = BTreeMap::new();
    let mut over = progress.over.subscribe();
    loop {
        let listening = async {
            let client = connect(bob).await;
            let Ok(mut events) = client.events().await else { return };
            while let Some(event) = events.next().await {
                if let Event::Letter { entry, new: true } = event
                    && entry.direction == "in"
                {
                    *shown.entry(entry.id).or_default() += 1;
                }
            }
        };
        tokio::select! {
            () = listening => {}
            _ = over.wait_for(|over| *over) => return shown,
        }
    }
}

/// Everything in the inbox, as soon as there is so much.
async fn all_in_inbox(bob: &Person, count: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let client = connect(bob).await;
    let mut last = Instant::now();
    while entries.len() < count {
        let after = entries.last().map(|entry| entry.seq);
        let params = InboxParams { after, limit: Some(500), unread: false };
        let page = client.call::<LettersInbox>(&params).await.unwrap();
        if page.entries.is_empty() {
            assert!(last.elapsed() < CALM, "{} of {count} letters came", entries.len());
            sleep(LOOK).await;
        } else {
            last = Instant::now();
        }
        entries.extend(page.entries);
    }
    entries
}

/// Waits until Alice knows of all letters that they were delivered.
async fn until_delivered(alice: &Person, count: usize) {
    let client = connect(alice).await;
    let begun = Instant::now();
    while client.call::<NodeStatus>(&Nothing {}).await.unwrap().outbox > 0 {
        assert!(begun.elapsed() < CALM, "letters wait to be sent");
        sleep(LOOK).await;
    }
    let (mut before, mut delivered) = (None, 0);
    loop {
        let params = HistoryParams { contact: ContactRef("Bob".into()), before, limit: Some(500) };
        let Page { entries } = client.call::<LettersHistory>(&params).await.unwrap();
        let Some(first) = entries.first() else { break };
        if entries.iter().all(|entry| entry.state == "delivered") {
            (before, delivered) = (Some(first.seq), delivered + entries.len());
        } else {
            assert!(begun.elapsed() < CALM, "letters are not known to be delivered: {:?}", entries.last());
            sleep(LOOK).await;
        }
    }
    assert_eq!(delivered, count);
}

fn number(variable: &str) -> Option<usize> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
