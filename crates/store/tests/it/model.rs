//! The history beside a model that keeps every letter and works the view out from nothing each time.

use crate::{BOB, at, case, id, incoming, insert, outgoing, store, text};
use proptest::prelude::*;
use std::collections::BTreeMap;
use waypost_core::{Body, Letter};
use waypost_store::{Direction, HistoryEntry, Inserted, LetterRow, Reaction, State, Unread};

/// What an entry looks like.
#[derive(Debug, PartialEq, Eq)]
struct View {
    direction: Direction,
    letter: Letter,
    edited: Option<String>,
    deleted: bool,
    reactions: Vec<Reaction>,
    read: bool,
}

impl From<HistoryEntry> for View {
    fn from(entry: HistoryEntry) -> Self {
        assert_eq!(entry.read.is_some(), entry.state == State::Read);
        Self {
            direction: entry.direction,
            letter: entry.letter,
            edited: entry.edited,
            deleted: entry.deleted,
            reactions: entry.reactions,
            read: entry.read.is_some(),
        }
    }
}

/// All letters in the order they came, and which were read.
#[derive(Default)]
struct Model {
    letters: Vec<(Direction, Letter)>,
    read: Vec<u8>,
}

impl Model {
    fn insert(&mut self, direction: Direction, letter: Letter) -> bool {
        let new = !self.letters.iter().any(|(d, l)| *d == direction && l.id == letter.id);
        if new {
            self.letters.push((direction, letter));
        }
        new
    }

    fn read_all(&mut self) -> usize {
        let unread = self.views().iter().filter(|view| view.direction == Direction::In && !view.read).count();
        for (_, letter) in self.letters.iter().filter(|(direction, _)| *direction == Direction::In) {
            self.read.push(letter.id.as_bytes()[15]);
        }
        unread
    }

    fn views(&self) -> Vec<View> {
        let entries = self.letters.iter().filter(|(_, letter)| {
            !matches!(letter.body, Body::Edit { .. } | Body::Reaction { .. } | Body::Delete { .. })
        });
        entries.map(|(direction, letter)| self.view(*direction, letter)).collect()
    }

    fn view(&self, direction: Direction, letter: &Letter) -> View {
        let about = |body: &Body| body.target() == Some(letter.id);
        let by_author = || self.letters.iter().filter(|(d, l)| *d == direction && about(&l.body)).map(|(_, l)| l);
        let deleted = by_author().any(|l| matches!(l.body, Body::Delete { .. }));
        let edit = by_author().filter(|l| matches!(l.body, Body::Edit { .. })).max_by_key(|l| (l.sent, l.id));
        let editable = letter.body.text().is_some() && !deleted;
        let mut last = BTreeMap::new();
        for (whose, l) in &self.letters {
            if let Body::Reaction { to, emoji } = &l.body
                && *to == letter.id
            {
                let newest = last.entry(*whose).or_insert((l.sent, l.id, emoji));
                *newest = (*newest).max((l.sent, l.id, emoji));
            }
        }
        let reaction = |whose| {
            let (_, _, emoji) = last.get(&whose).filter(|(_, _, emoji)| !emoji.is_empty())?;
            Some(Reaction { own: whose == Direction::Out, emoji: (*emoji).clone() })
        };
        View {
            direction,
            letter: if deleted { Letter { body: text(""), ..letter.clone() } } else { letter.clone() },
            edited: edit.filter(|_| editable).and_then(|l| l.body.text()).map(str::to_owned),
            deleted,
            reactions: [Direction::Out, Direction::In].into_iter().filter_map(reaction).collect(),
            read: direction == Direction::In && self.read.contains(&letter.id.as_bytes()[15]),
        }
    }
}

const WORDS: [&str; 5] = ["apple", "pear", "plum", "apricot", "fig"];

fn words() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..4).prop_map(|words| words.join(" "))
}

fn body() -> impl Strategy<Value = Body> {
    let target = || (0..6_u64).prop_map(id);
    prop_oneof![
        3 => words().prop_map(|text| Body::Text { text }),
        1 => (target(), words()).prop_map(|(to, text)| Body::Reply { to, text }),
        1 => Just(Body::File { name: "apple".into(), size: 1, media_type: "a".into(), sha256: "b".into() }),
        1 => Just(Body::Unknown { name: "edit".into(), bytes: "00".into() }),
        4 => (target(), words()).prop_map(|(to, text)| Body::Edit { to, text }),
        2 => target().prop_map(|to| Body::Delete { to }),
        3 => (target(), proptest::sample::select(&["", "x", "y"][..]))
            .prop_map(|(to, emoji)| Body::Reaction { to, emoji: emoji.into() }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(bool, u64, u64, Body),
    ReadAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<bool>(), 0..24_u64, 0..8_u64, body()).prop_map(|(own, id, sent, body)| Step::Insert(own, id, sent, body)),
        1 => Just(Step::ReadAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_history_is_what_the_model_says(steps in proptest::collection::vec(step(), 1..60)) {
        case(|store| {
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Insert(own, number, sent, body) => {
                    let letter = Letter { id: id(number), sent: at(sent), body };
                    let (direction, row): (_, fn(_, _) -> LetterRow) =
                        if own { (Direction::Out, outgoing) } else { (Direction::In, incoming) };
                    let inserted = store.insert_letter(&row(BOB, letter.clone())).unwrap();
                    prop_assert_eq!(matches!(inserted, Inserted::New(_)), model.insert(direction, letter));
                }
                Step::ReadAll => {
                    prop_assert_eq!(store.mark_read(BOB, Unread::All, at(0)).unwrap().len(), model.read_all());
                }
            }
        }
        let views = model.views();
        let unread = views.iter().filter(|view| view.direction == Direction::In && !view.read).count();
        prop_assert_eq!(store.unread_of(BOB).unwrap(), unread as u64);
        prop_assert_eq!(store.inbox(None, 999, true).unwrap().len(), unread);
        for word in WORDS.into_iter().chain(["ap", "p"]) {
            let says = |view: &&View| {
                let text = view.edited.as_deref().or(view.letter.body.text()).unwrap_or_default();
                !view.deleted && text.split(' ').any(|said| said.starts_with(word))
            };
            let expected: Vec<_> = views.iter().rev().filter(says).map(|view| (view.direction, view.letter.id)).collect();
            let found = store.search(word, None, 999).unwrap();
            let found: Vec<_> = found.into_iter().map(|entry| (entry.direction, entry.letter.id)).collect();
            prop_assert_eq!(found, expected, "{}", word);
        }
        let history: Vec<View> = store.history(BOB, None, 999).unwrap().into_iter().map(View::from).collect();
        prop_assert_eq!(history, views);
        prop_assert_eq!(store.check().unwrap(), Vec::<String>::new());
        Ok(())
        })?;
    }
}

#[test]
fn the_order_of_edits_and_reactions_makes_no_difference() {
    let letters: Vec<Letter> = [
        (1, 0, text("a")),
        (2, 5, Body::Edit { to: id(1), text: "b".into() }),
        (3, 5, Body::Edit { to: id(1), text: "c".into() }),
        (4, 6, Body::Reaction { to: id(1), emoji: "x".into() }),
        (5, 6, Body::Reaction { to: id(1), emoji: "y".into() }),
    ]
    .map(|(number, sent, body)| Letter { id: id(number), sent: at(sent), body })
    .to_vec();
    for turn in 0..letters.len() {
        for reverse in [false, true] {
            let (store, _folder) = store();
            let mut order = letters.clone();
            order.rotate_left(turn);
            if reverse {
                order.reverse();
            }
            for letter in order {
                insert(&store, &incoming(BOB, letter));
            }
            let entry = store.entry(BOB, id(1)).unwrap().remove(0);
            assert_eq!((entry.edited.as_deref(), entry.reactions[0].emoji.as_str()), (Some("c"), "y"));
        }
    }
}
