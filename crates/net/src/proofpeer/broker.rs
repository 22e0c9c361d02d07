//! The task of a broker: a connection, and another when it has ended. Profile, State machines: Disconnected.

use super::mqtt::{Client, Happened, Options};
use rand::RngExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The first pause before another try; doubles.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Of each pause, either way.
const JITTER: f64 = 0.2;
/// A connection that stood for so long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(10);

/// What the machine's task is told of one broker.
pub(super) struct News {
    pub(super) broker: u32,
    pub(super) what: What,
}

pub(super) enum What {
    Up {
        client: Client,
        load: Arc<Load>,
        max_packet: Option<usize>,
        best_effort: bool,
    },
    Subscribing(u16),
    Subscribed {
        packet: u16,
        granted: bool,
    },
    Message {
        topic: Vec<u8>,
        payload: Vec<u8>,
        retain: bool,
    },
    Down {
        reason: String,
    },
    /// It said goodbye, and does not come again.
    Gone,
}

/// How much waits for a broker.
pub(super) struct Load {
    waiting: AtomicUsize,
    /// Whoever waits for less of it.
    drained: Arc<Notify>,
}

impl Load {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self) {
        let less = |waiting: usize| Some(waiting.saturating_sub(1));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.drained.notify_one();
    }
}

/// Connects until it is stopped or has said goodbye.
pub(super) async fn run(
    broker: u32,
    options: Options,
    news: mpsc::Sender<News>,
    drained: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut pause = PAUSE;
    loop {
        let opened = Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = connection(broker, &options, &news, &drained) => ended,
        };
        let Some(reason) = ended else {
            let _ = news.send(News { broker, what: What::Gone }).await;
            return;
        };
        tracing::debug!(broker = %options.url, %reason, "no connection to a broker");
        if news.send(News { broker, what: What::Down { reason } }).await.is_err() {
            return;
        }
        if opened.elapsed() >= GOOD {
            pause = PAUSE;
        }
        let share = 1.0 + rand::rng().random_range(-JITTER..=JITTER);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause.mul_f64(share)) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection; why it ended, or nothing after a goodbye.
async fn connection(
    broker: u32,
    options: &Options,
    news: &mpsc::Sender<News>,
    drained: &Arc<Notify>,
) -> Option<String> {
    let (client, mut events) = options.open();
    let mut said_goodbye = false;
    let load = Arc::new(Load { waiting: AtomicUsize::new(0), drained: Arc::clone(drained) });
    loop {
        let what = match events.next().await {
            Err(_) if said_goodbye => return None,
            Err(reason) => return Some(reason),
            // The broker closes the connection. If we did, while it still sends, the system would reset it, and what
            // the broker has not read yet would be lost.
            Ok(Happened::SaidGoodbye) => {
                said_goodbye = true;
                continue;
            }
            Ok(Happened::Connected { max_packet, best_effort }) => {
                What::Up { client: client.clone(), load: Arc::clone(&load), max_packet, best_effort }
            }
            Ok(Happened::Subscribing(packet)) => {
                load.remove();
                What::Subscribing(packet)
            }
            Ok(Happened::Left) => {
                load.remove();
                continue;
            }
            Ok(Happened::Subscribed { packet, granted }) => What::Subscribed { packet, granted },
            Ok(Happened::Message { topic, payload, retain }) => What::Message { topic, payload, retain },
            Ok(Happened::Other) => continue,
        };
        if news.send(News { broker, what }).await.is_err() {
            return None;
        }
    }
}
