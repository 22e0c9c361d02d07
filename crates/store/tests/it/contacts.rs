use crate::{BOB, CAROL, at, id, incoming, insert, letter, outgoing, store, text};
use waypost_core::{Address, Card, ContactId, InviteToken};
use waypost_store::{ContactRow, ContactStatus, InviteRow, RequestUsage, WarningRow};

fn contact(id: ContactId, name: &str) -> ContactRow {
    let address: Address = "sremp://bob.example:7300".parse().unwrap();
    ContactRow {
        id,
        name: name.to_owned(),
        status: ContactStatus::Contact,
        card: Some(Card {
            contact: id,
            name: "Robert".into(),
            noise_key: [3; 32],
            version: 5,
            issued: at(0),
            addresses: vec![address.clone()],
        }),
        addresses: vec![address],
        added: at(1),
        read_receipts: Some(false),
        muted: true,
        last_seen: Some(at(2)),
        invite_token: Some(InviteToken([9; 16])),
        verified: None,
    }
}

#[test]
fn a_contact_comes_back_as_it_went_in() {
    let (store, _folder) = store();
    assert_eq!(store.contact(BOB).unwrap(), None);
    let mut bob = contact(BOB, "Bob");
    store.put_contact(&bob).unwrap();
    assert_eq!(store.contact(BOB).unwrap().as_ref(), Some(&bob));
    bob = ContactRow {
        status: ContactStatus::Blocked,
        card: None,
        addresses: Vec::new(),
        read_receipts: None,
        muted: false,
        last_seen: None,
        invite_token: None,
        ..bob
    };
    store.put_contact(&bob).unwrap();
    assert_eq!(store.contact(BOB).unwrap().as_ref(), Some(&bob));
    store.touch_contact(BOB, at(9)).unwrap();
    store.touch_contact(BOB, at(4)).unwrap();
    assert_eq!(store.contact(BOB).unwrap().unwrap().last_seen, Some(at(9)));
}

#[test]
fn a_name_is_found_however_it_is_typed() {
    let (store, _folder) = store();
    store.put_contact(&contact(BOB, "Zo\u{eb} M\u{dc}LLER")).unwrap();
    store.put_contact(&contact(CAROL, "anna")).unwrap();
    for name in ["zoe\u{308} m\u{fc}ller", "ZO\u{cb} M\u{fc}ller"] {
        assert_eq!(store.find_contacts(name).unwrap().len(), 1, "{name}");
    }
    assert!(store.find_contacts("zoe").unwrap().is_empty());
    let names: Vec<_> = store.contacts().unwrap().into_iter().map(|contact| contact.name).collect();
    assert_eq!(names, ["anna", "Zo\u{eb} M\u{dc}LLER"]);
    store.put_contact(&contact(CAROL, "zo\u{eb} m\u{fc}ller")).unwrap();
    assert_eq!(store.find_contacts("Zo\u{eb} m\u{fc}ller").unwrap().len(), 2, "names need not be unique");
}

#[test]
fn a_removed_contact_leaves_its_history_unless_it_is_forgotten() {
    let (store, _folder) = store();
    store.put_contact(&contact(BOB, "Bob")).unwrap();
    store.put_contact(&contact(CAROL, "Carol")).unwrap();
    for person in [BOB, CAROL] {
        insert(&store, &incoming(person, letter(1, 0, text("in"))));
        insert(&store, &outgoing(person, letter(2, 0, text("out"))));
        let warning = WarningRow {
            seq: 0,
            contact: Some(person),
            at: at(0),
            kind: "fork".into(),
            text: "two".into(),
            seen: false,
        };
        store.put_warning(&warning).unwrap();
    }
    assert!(store.remove_contact(BOB, false).unwrap());
    assert!(!store.remove_contact(BOB, false).unwrap());
    assert_eq!(store.contact(BOB).unwrap(), None);
    assert_eq!(store.history(BOB, None, 9).unwrap().len(), 2);
    assert!(store.remove_contact(BOB, true).unwrap());
    assert!(!store.remove_contact(BOB, true).unwrap());
    assert!(store.history(BOB, None, 9).unwrap().is_empty());
    assert!(store.warnings_of(BOB).unwrap().is_empty());
    assert_eq!(store.history(CAROL, None, 9).unwrap().len(), 2);
    assert_eq!(store.warnings_of(CAROL).unwrap().len(), 1);
}

#[test]
fn the_room_that_strangers_take_is_known() {
    let (store, _folder) = store();
    assert_eq!(store.request_usage().unwrap(), RequestUsage::default());
    let stranger = ContactRow { status: ContactStatus::Request, ..contact(BOB, "?") };
    store.put_contact(&stranger).unwrap();
    store.put_contact(&contact(CAROL, "Carol")).unwrap();
    insert(&store, &incoming(CAROL, letter(1, 0, text("a"))));
    insert(&store, &incoming(BOB, letter(2, 0, text(&"a".repeat(100)))));
    insert(&store, &incoming(BOB, letter(3, 0, text("a"))));
    let usage = store.request_usage().unwrap();
    assert_eq!(usage.letters, 2);
    assert!((101..400).contains(&usage.bytes), "{usage:?}");
    assert_eq!(store.request_usage_of(BOB).unwrap(), usage);
    assert_eq!(store.request_usage_of(CAROL).unwrap().letters, 1);
}

#[test]
fn an_invite_is_spent_once_and_in_time() {
    let (store, _folder) = store();
    let invite = |number, created, expires| InviteRow {
        hash: [number; 32],
        created: at(created),
        expires: at(expires),
        note: "for Bob".into(),
    };
    store.put_invite(&invite(1, 0, 100)).unwrap();
    store.put_invite(&invite(2, 1, 50)).unwrap();
    assert_eq!(store.invites().unwrap(), [invite(2, 1, 50), invite(1, 0, 100)]);
    assert_eq!(store.take_invite(&[1; 32], at(99)).unwrap(), Some(invite(1, 0, 100)));
    assert_eq!(store.take_invite(&[1; 32], at(99)).unwrap(), None);
    assert_eq!(store.take_invite(&[2; 32], at(50)).unwrap(), None, "too late");
    assert!(store.invites().unwrap().is_empty());
    store.put_invite(&invite(3, 0, 10)).unwrap();
    store.put_invite(&invite(4, 10, 20)).unwrap();
    assert_eq!(store.invites().unwrap(), [invite(4, 10, 20)], "ended ones go by themselves");
}

#[test]
fn warnings_do_not_pile_up() {
    let (mut store, _folder) = store();
    let warning = |number: u64, seen| WarningRow {
        seq: 0,
        contact: number.is_multiple_of(2).then_some(BOB),
        at: at(number),
        kind: "full".into(),
        text: format!("warning {}", number / 2),
        seen,
    };
    store.put_warning(&warning(0, false)).unwrap();
    store.put_warning(&WarningRow { at: at(7), ..warning(0, false) }).unwrap();
    store.put_warning(&warning(1, false)).unwrap();
    let all = store.warnings(9).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].contact, all[1].contact, all[1].at), (None, Some(BOB), at(7)));
    assert_eq!(store.see_warnings(all[1].seq).unwrap(), 1);
    store.put_warning(&warning(0, false)).unwrap();
    assert_eq!(store.warnings_of(BOB).unwrap().len(), 2, "a seen one comes anew");
    assert_eq!(store.clear_warnings(Some(BOB)).unwrap(), 2);
    store.begin().unwrap();
    for number in 0..1100 {
        store.put_warning(&warning(number * 2 + 1, false)).unwrap();
    }
    assert_eq!(store.warnings(9999).unwrap().len(), 1000);
    assert_eq!(store.warnings(1).unwrap()[0].text, "warning 1099");
    assert_eq!(store.clear_warnings(None).unwrap(), 1000);
}

#[test]
fn removing_nobody_changes_nothing() {
    let (store, _folder) = store();
    assert!(!store.remove_contact(BOB, true).unwrap());
    insert(&store, &incoming(BOB, letter(1, 0, text("a"))));
    assert!(!store.remove_contact(BOB, false).unwrap());
    assert_eq!(store.entry(BOB, id(1)).unwrap().len(), 1);
}
