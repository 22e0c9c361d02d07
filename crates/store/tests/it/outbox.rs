use crate::{BOB, CAROL, at, id, insert, letter, outgoing, store, text};
use std::time::Duration;
use waypost_core::{ContactId, LetterId, Protection, RouteId, Wire};
use waypost_store::{Error, OutboxRow, RouteRow, Store, TraceRow};

fn waiting(contact: ContactId, number: u64, next_try: u64) -> OutboxRow {
    OutboxRow { contact, letter: id(number), attempts: 0, next_try: at(next_try), created: at(0) }
}

fn ids(rows: &[OutboxRow]) -> Vec<LetterId> {
    rows.iter().map(|row| row.letter).collect()
}

fn route(number: u64, started: u64) -> RouteRow {
    RouteRow {
        route: RouteId(0),
        contact: BOB,
        letter: id(number),
        wire: Wire::Sremp,
        via: "sremp://bob.example:7300".into(),
        started: at(started),
        ended: None,
        outcome: None,
        protection: Protection { forward_secret: true, ..Protection::default() },
    }
}

fn step(number: u64, when: u64, what: &str) -> TraceRow {
    TraceRow { contact: BOB, letter: id(number), at: at(when), what: what.to_owned(), route: None }
}

fn with_letters() -> (Store, tempfile::TempDir) {
    let (store, folder) = store();
    for number in 1..=4 {
        insert(&store, &outgoing(if number == 4 { CAROL } else { BOB }, letter(number, 0, text("a"))));
    }
    (store, folder)
}

#[test]
fn letters_are_due_at_their_time_and_in_their_order() {
    let (store, _folder) = with_letters();
    assert_eq!(store.outbox_next_try().unwrap(), None);
    for row in [waiting(BOB, 3, 10), waiting(BOB, 2, 20), waiting(BOB, 1, 20), waiting(CAROL, 4, 30)] {
        store.put_outbox(&row).unwrap();
    }
    assert_eq!(store.outbox_len().unwrap(), 4);
    assert_eq!(store.outbox_next_try().unwrap(), Some(at(10)));
    assert_eq!(ids(&store.outbox_due(at(9), 9).unwrap()), []);
    assert_eq!(ids(&store.outbox_due(at(20), 9).unwrap()), [id(3), id(1), id(2)]);
    assert_eq!(ids(&store.outbox_due(at(99), 1).unwrap()), [id(3)]);
    assert_eq!(ids(&store.outbox_for(BOB, 9).unwrap()), [id(1), id(2), id(3)]);

    let tried = OutboxRow { attempts: 3, ..waiting(BOB, 3, 500) };
    store.put_outbox(&tried).unwrap();
    assert_eq!(store.outbox_row(BOB, id(3)).unwrap(), Some(tried));
    assert_eq!(store.outbox_next_try().unwrap(), Some(at(20)));
    assert!(store.remove_outbox(BOB, id(3)).unwrap());
    assert!(!store.remove_outbox(BOB, id(3)).unwrap());
    assert!(!store.remove_outbox(BOB, id(4)).unwrap());
    assert_eq!(store.outbox_row(BOB, id(3)).unwrap(), None);
    assert_eq!(store.outbox_len().unwrap(), 3);
}

#[test]
fn a_forgotten_contact_has_nothing_to_send() {
    let (store, _folder) = with_letters();
    store.put_outbox(&waiting(BOB, 1, 0)).unwrap();
    store.put_outbox(&waiting(CAROL, 4, 0)).unwrap();
    let route = store.add_route(&route(1, 0)).unwrap();
    store.add_trace(&TraceRow { route: Some(route), ..step(1, 0, "sent") }).unwrap();
    assert!(store.remove_contact(BOB, true).unwrap());
    assert_eq!(ids(&store.outbox_due(at(9), 9).unwrap()), [id(4)]);
    assert!(store.trace(id(1)).unwrap().is_empty());
    assert!(store.routes(None, id(1)).unwrap().is_empty());
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn the_way_of_a_letter_is_told_in_order() {
    let (store, _folder) = with_letters();
    store.add_trace(&step(1, 0, "queued")).unwrap();
    let first = store.add_route(&route(1, 1)).unwrap();
    assert!(store.end_route(first, "unreachable", at(2)).unwrap());
    assert!(!store.end_route(first, "delivered", at(3)).unwrap());
    let second = store.add_route(&route(1, 5)).unwrap();
    store.add_trace(&TraceRow { route: Some(second), ..step(1, 6, "sent") }).unwrap();
    store.add_trace(&step(2, 7, "another letter's")).unwrap();
    let steps: Vec<_> = store.trace(id(1)).unwrap().into_iter().map(|step| (step.what, step.route)).collect();
    assert_eq!(steps, [("queued".to_owned(), None), ("sent".to_owned(), Some(second))]);
    let ended = RouteRow { route: first, ended: Some(at(2)), outcome: Some("unreachable".into()), ..route(1, 1) };
    let open = RouteRow { route: second, ..route(1, 5) };
    assert_eq!(store.routes(None, id(1)).unwrap(), [ended, open]);
    assert_eq!(store.routes(Some(BOB), id(1)).unwrap().len(), 2);
    assert!(store.routes(Some(CAROL), id(1)).unwrap().is_empty());
    assert_eq!(store.end_open_routes("the node stopped", at(9)).unwrap(), 1);
    assert!(matches!(store.add_trace(&step(99, 0, "x")), Err(Error::NotFound("letter"))));
    assert!(matches!(store.add_route(&route(99, 0)), Err(Error::NotFound("letter"))));
}

#[test]
fn a_letter_tried_for_weeks_keeps_its_last_steps() {
    let (mut store, _folder) = with_letters();
    store.begin().unwrap();
    for number in 0..300 {
        store.add_trace(&step(1, number, &number.to_string())).unwrap();
        store.add_route(&route(1, number)).unwrap();
    }
    store.commit().unwrap();
    let (steps, routes) = (store.trace(id(1)).unwrap(), store.routes(None, id(1)).unwrap());
    assert_eq!((steps.len(), routes.len()), (256, 256));
    assert_eq!((steps[0].what.as_str(), routes[0].started), ("44", at(44)));
    assert_eq!(steps[255].what, "299");
}

#[test]
fn old_ways_are_swept_a_few_at_a_time() {
    let (store, _folder) = with_letters();
    for (letter, when) in [(1, 0), (1, 10), (2, 1), (3, 100)] {
        store.add_trace(&step(letter, when, "x")).unwrap();
        store.add_route(&route(letter, when)).unwrap();
    }
    let before = at(0).after(Duration::from_millis(50));
    assert_eq!(store.sweep_traces(before, 2).unwrap(), 4);
    assert_eq!(store.sweep_traces(before, 2).unwrap(), 2);
    assert_eq!(store.sweep_traces(before, 2).unwrap(), 0);
    assert_eq!((store.trace(id(3)).unwrap().len(), store.routes(None, id(3)).unwrap().len()), (1, 1));
}
