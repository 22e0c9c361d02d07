//! Letters through the relay.

use super::{
    link::{Person, RelayAt, RelayLink},
    load::{Load, Tally, WINDOW, per_second},
};
use anyhow::{Result, bail, ensure};
use rand::{SeedableRng, rngs::StdRng};
use waypost_core::{ContactId, Wall};
use waypost_sremp::{
    Message,
    message::{DeliveryConfirmation, StoreMessage},
};

/// Letters stored a second: signed before, counted when the relay says that they are on disk.
pub(super) async fn stores(relay: RelayAt, load: Load) -> Result<f64> {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let mut lanes = Vec::new();
    for _ in 0..load.connections {
        let (sender, recipient) = (Person::new(&mut rng)?, Person::new(&mut rng)?);
        // Whoever it is for has a mailbox and is away.
        RelayLink::connect(relay, &recipient).await?.register(&recipient, false).await?;
        let mut link = RelayLink::connect(relay, &sender).await?;
        link.register(&sender, false).await?;
        lanes.push((link, letters(relay, &sender, recipient.id(), load)));
    }
    per_second(load.most, |tally| lanes.into_iter().map(|(link, letters)| store(link, letters, tally)).collect()).await
}

/// Letters delivered a second: stored, sent unasked to a recipient who is there, confirmed by it, and the
/// confirmation has come back to the sender.
pub(super) async fn deliveries(relay: RelayAt, load: Load) -> Result<f64> {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let mut lanes = Vec::new();
    for _ in 0..load.connections {
        let (sender, recipient) = (Person::new(&mut rng)?, Person::new(&mut rng)?);
        let mut from = RelayLink::connect(relay, &sender).await?;
        from.register(&sender, true).await?;
        let mut to = RelayLink::connect(relay, &recipient).await?;
        to.register(&recipient, true).await?;
        let letters = letters(relay, &sender, recipient.id(), load);
        let confirm = |letter: &StoreMessage| {
            let at = Wall::from_millis(1_700_000_000_000);
            DeliveryConfirmation::signed(&recipient.signing, sender.id(), letter.message_id, at)
        };
        let confirmations = letters.iter().map(confirm).collect();
        lanes.push((from, letters, to, confirmations));
    }
    let run = async |(from, letters, to, confirmations), tally| {
        tokio::select! {
            sent = send(from, letters, tally) => sent,
            failed = receive(to, confirmations) => failed,
        }
    };
    per_second(load.most, |tally| lanes.into_iter().map(|lane| run(lane, tally)).collect()).await
}

/// Signed before the clock runs: that is the sender's work.
fn letters(relay: RelayAt, sender: &Person, recipient: ContactId, load: Load) -> Vec<StoreMessage> {
    let letter = |id| {
        let blob = vec![7; load.bytes];
        StoreMessage::signed(&relay.identity, &sender.signing, recipient, id, blob)
    };
    (0..load.each() as u64).map(letter).collect()
}

async fn store(link: RelayLink, letters: Vec<StoreMessage>, tally: &Tally) -> Result<()> {
    keep_window(link, letters, tally, |message| is_stored(&message).map(|()| true)).await
}

async fn send(link: RelayLink, letters: Vec<StoreMessage>, tally: &Tally) -> Result<()> {
    let is_confirmed = |message| match message {
        Message::DeliveryConfirmation(_) => Ok(true),
        other => is_stored(&other).map(|()| false),
    };
    keep_window(link, letters, tally, is_confirmed).await
}

/// Keeps as many letters under way as the profile allows, until `is_done` was true for each.
async fn keep_window(
    mut link: RelayLink,
    letters: Vec<StoreMessage>,
    tally: &Tally,
    is_done: impl Fn(Message) -> Result<bool>,
) -> Result<()> {
    let (mut letters, mut outstanding, mut messages) = (letters.into_iter(), 0usize, Vec::new());
    loop {
        while outstanding < WINDOW
            && let Some(letter) = letters.next()
        {
            link.send(letter.into())?;
            outstanding += 1;
        }
        if outstanding == 0 {
            return Ok(());
        }
        link.flush().await?;
        link.read(&mut messages).await?;
        for message in messages.drain(..) {
            if is_done(message)? {
                outstanding = outstanding.saturating_sub(1);
                tally.add(1);
            }
        }
    }
}

/// Until the sender is done and the lane ends.
async fn receive(mut link: RelayLink, confirmations: Vec<DeliveryConfirmation>) -> Result<()> {
    let mut messages = Vec::new();
    loop {
        link.read(&mut messages).await?;
        for message in messages.drain(..) {
            let Message::MessageBatch(batch) = message else { bail!("the relay said {message:?}") };
            for letter in batch.messages {
                let confirmation = usize::try_from(letter.message_id).ok().and_then(|id| confirmations.get(id));
                let Some(confirmation) = confirmation else { bail!("a letter that nobody sent") };
                link.send(confirmation.clone().into())?;
            }
        }
        link.flush().await?;
    }
}

fn is_stored(message: &Message) -> Result<()> {
    let Message::StoreResponse(response) = message else { bail!("the relay said {message:?}") };
    ensure!(response.success, "not stored: {:?}", response.error_code);
    Ok(())
}
