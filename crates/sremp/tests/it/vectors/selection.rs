//! SR-6f

use std::{collections::BTreeSet, time::Duration};
use waypost_core::{ContactId, Mono};
use waypost_sremp::select::{
    Completed, Selection, SelectionInput, SelectionOutput, SelectionTiming, Stays, Way, stays,
};
use waypost_testkit::vectors::{self, Part};

/// SR-6f
#[test]
fn the_timetable_is_kept_to_the_millisecond() {
    for case in vectors::load("sremp", "selection.json") {
        let (input, expect) = (case.input(), case.expect());
        if input.has("gap_ms") {
            one_connection_stays(&input, &expect);
            continue;
        }
        input.only(&["candidates", "relays", "prefers_async"]);
        expect.only(&["events", "outcome"]);
        let (events, outcome) = Timeline::run(&input);
        let expected: Vec<_> = expect.list("events").iter().map(event).collect();
        assert_eq!(events, expected, "{case}");
        let expected = expect.at("outcome");
        expected.only(&["path", "index", "at"]);
        let (way, at) = outcome;
        let (path, index) = match way {
            Way::Direct(index) => ("direct", index),
            Way::Relay(index) => ("relay", index),
            Way::Outbox => ("queue", 0),
        };
        assert_eq!(
            (path, index as u64, at),
            (expected.str("path"), expected.u64("index"), expected.u64("at")),
            "{case}"
        );
    }
}

fn one_connection_stays(input: &Part<'_>, expect: &Part<'_>) {
    input.only(&["a", "b", "gap_ms"]);
    expect.only(&["keep"]);
    let (a, b) = (ContactId::from_bytes(input.array("a")), ContactId::from_bytes(input.array("b")));
    let (first, second) = (Mono::from_millis(5), Mono::from_millis(5 + input.u64("gap_ms")));
    let kept = |older, newer| {
        let (older, newer) = (Completed { initiator: older, at: first }, Completed { initiator: newer, at: second });
        match stays(&older, &newer, Duration::from_secs(10)) {
            Stays::Older => older.initiator,
            Stays::Newer => newer.initiator,
        }
    };
    let (a_first, b_first) = (kept(a, b), kept(b, a));
    match expect.str("keep") {
        "initiated by a" => assert!(a_first == a && b_first == a, "{input}"),
        "initiated by b" => assert!(a_first == b && b_first == b, "{input}"),
        "newest" => assert!(a_first == b && b_first == a, "{input}"),
        _ => expect.unknown_shape(),
    }
}

/// Time, event, number.
type Event = (u64, &'static str, u64);

/// The events of one millisecond come in this order.
const ORDER: [&str; 10] = [
    "dial_failed",
    "relay_failed",
    "direct_ready",
    "relay_ready",
    "dial_cancelled",
    "relay_cancelled",
    "dial",
    "relay_dial",
    "store",
    "queue",
];

fn event(part: &Part<'_>) -> Event {
    part.only(&["t", "event", "index"]);
    let name = ORDER.into_iter().find(|&name| name == part.str("event")).unwrap_or_else(|| part.unknown_shape());
    (part.u64("t"), name, part.u64("index"))
}

/// A network in which each dial ends as the case says.
struct Timeline<'a> {
    candidates: Vec<Part<'a>>,
    relays: Vec<Part<'a>>,
    selection: Selection,
    coming: BTreeSet<(u64, SelectionInput)>,
    events: Vec<Event>,
    outcome: Option<(Way, u64)>,
}

impl<'a> Timeline<'a> {
    fn run(input: &Part<'a>) -> (Vec<Event>, (Way, u64)) {
        let (candidates, relays) = (input.list("candidates"), input.list("relays"));
        let timing = SelectionTiming::default();
        let prefers_async = input.bool("prefers_async");
        let selection = Selection::new(Mono::from_millis(0), timing, candidates.len(), relays.len(), prefers_async);
        let (coming, events, outcome) = (BTreeSet::new(), Vec::new(), None);
        let mut timeline = Self { candidates, relays, selection, coming, events, outcome };
        let mut now = 0;
        loop {
            timeline.step(now);
            if let Some(outcome) = timeline.outcome {
                timeline.events.sort_by_key(|event| (event.0, ORDER.iter().position(|&name| name == event.1)));
                return (timeline.events, outcome);
            }
            let timer = timeline.selection.poll_timeout().map(Mono::as_millis);
            let result = timeline.coming.first().map(|coming| coming.0);
            now = timer.into_iter().chain(result).min().expect("a search that goes on until it is done");
        }
    }

    /// Everything of one millisecond, as far as it is known.
    fn step(&mut self, now: u64) {
        let later = self.coming.split_off(&(now + 1, SelectionInput::DirectFailed(0)));
        let reports: Vec<_> = std::mem::replace(&mut self.coming, later).into_iter().map(|coming| coming.1).collect();
        // The order in which reports of one moment arrive must not matter.
        for &report in reports.iter().rev() {
            self.selection.handle(Mono::from_millis(now), report);
        }
        self.selection.handle(Mono::from_millis(now), SelectionInput::Tick);
        let outputs: Vec<_> = std::iter::from_fn(|| self.selection.poll()).collect();
        for report in reports {
            match report {
                SelectionInput::DirectFailed(index) => self.log(now, "dial_failed", index),
                SelectionInput::RelayFailed(index) => self.log(now, "relay_failed", index),
                SelectionInput::RelayReady(index) if !outputs.contains(&SelectionOutput::CancelRelay(index)) => {
                    self.log(now, "relay_ready", index);
                }
                _ => {}
            }
        }
        for output in outputs {
            self.output(now, output);
        }
    }

    fn output(&mut self, now: u64, output: SelectionOutput) {
        match output {
            SelectionOutput::Dial(index) => {
                self.log(now, "dial", index);
                let (ready, failed) = (SelectionInput::DirectReady(index), SelectionInput::DirectFailed(index));
                self.coming.extend(result(now, &self.candidates[index], ready, failed));
            }
            SelectionOutput::DialRelay(index) => {
                self.log(now, "relay_dial", index);
                let (ready, failed) = (SelectionInput::RelayReady(index), SelectionInput::RelayFailed(index));
                self.coming.extend(result(now, &self.relays[index], ready, failed));
            }
            SelectionOutput::CancelDial(index) => {
                self.log(now, "dial_cancelled", index);
                self.forget(SelectionInput::DirectReady(index), SelectionInput::DirectFailed(index));
            }
            SelectionOutput::CancelRelay(index) => {
                self.log(now, "relay_cancelled", index);
                self.forget(SelectionInput::RelayReady(index), SelectionInput::RelayFailed(index));
            }
            SelectionOutput::RelayTimedOut(index) => {
                self.log(now, "relay_failed", index);
                self.forget(SelectionInput::RelayReady(index), SelectionInput::RelayFailed(index));
            }
            SelectionOutput::Done(way) => {
                match way {
                    Way::Direct(index) => self.log(now, "direct_ready", index),
                    Way::Relay(index) => self.log(now, "store", index),
                    Way::Outbox => self.log(now, "queue", 0),
                }
                self.outcome = Some((way, now));
            }
        }
    }

    fn log(&mut self, now: u64, event: &'static str, index: usize) {
        self.events.push((now, event, index as u64));
    }

    fn forget(&mut self, ready: SelectionInput, failed: SelectionInput) {
        self.coming.retain(|coming| coming.1 != ready && coming.1 != failed);
    }
}

fn result(
    now: u64,
    attempt: &Part<'_>,
    ready: SelectionInput,
    failed: SelectionInput,
) -> Option<(u64, SelectionInput)> {
    attempt.only(&["result", "after"]);
    let then = now + attempt.u64("after");
    match attempt.str("result") {
        "ok" => Some((then, ready)),
        "fail" => Some((then, failed)),
        "silent" => None,
        _ => attempt.unknown_shape(),
    }
}
