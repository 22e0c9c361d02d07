use crate::{T0, keyring, rng};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{collections::BTreeSet, time::Duration};
use waypost_core::Wall;
use waypost_keyring::{Error, Keyring};
use zeroize::Zeroizing;

#[test]
fn comes_back_from_its_words_with_new_transport_keys() {
    let keyring = keyring();
    let words = keyring.recovery_words();
    assert_eq!(words.split(' ').count(), 24);
    let later = T0.after(Duration::from_secs(1));
    let restored = Keyring::from_words(&words, &mut ChaCha20Rng::from_seed([9; 32]), later).unwrap();
    assert_eq!(restored.identity_secret(), keyring.identity_secret());
    assert_eq!(*restored.recovery_words(), *words);
    assert_ne!(restored.database_key(), keyring.database_key());
    assert_ne!(restored.noise_secret(), keyring.noise_secret());
    assert_ne!(restored.dr_secret(), keyring.dr_secret());
    assert!(restored.identity_version() > keyring.identity_version());
}

#[test]
fn has_a_version_from_the_clock_that_only_rises() {
    let mut keyring = keyring();
    assert_eq!(keyring.identity_version(), T0.as_millis());
    assert_eq!(keyring.next_version(T0), T0.as_millis() + 1);
    assert_eq!(keyring.next_version(Wall::from_millis(5)), T0.as_millis() + 2);
    assert_eq!(keyring.next_version(T0.after(Duration::from_secs(9))), T0.as_millis() + 9000);
    keyring.after_restore();
    assert_eq!(keyring.identity_version(), T0.as_millis() + 10_000);
    assert_ne!(keyring.next_version(Wall::from_millis(u64::MAX)), u64::MAX, "never frozen by accident");
}

#[test]
fn never_uses_a_key_again_after_rotations() {
    let mut keyring = keyring();
    let mut seen = BTreeSet::new();
    let identity = *keyring.identity_secret();
    for round in 0..20 {
        // A clock that stands still, and one that jumps back.
        let now = if round % 2 == 0 { T0 } else { Wall::from_millis(round) };
        let version = keyring.identity_version();
        let dr = *keyring.dr_secret();
        assert!(seen.insert(*keyring.noise_secret()));
        keyring.rotate_noise(now);
        assert!(keyring.identity_version() > version);
        assert_eq!(keyring.dr_secret(), &dr, "one key rotates without the other");
        assert!(seen.insert(*keyring.dr_secret()));
        keyring.rotate_dr(now);
        assert!(keyring.identity_version() > version + 1);
    }
    assert_eq!(keyring.identity_secret(), &identity);
}

#[test]
fn keeps_all_of_itself_in_an_export() {
    let mut keyring = keyring();
    keyring.rotate_noise(T0.after(Duration::from_secs(3)));
    keyring.set_slot("a", Zeroizing::new(vec![1; 1000])).unwrap();
    keyring.set_slot("b", Zeroizing::new(vec![])).unwrap();
    let copy = Keyring::import(&keyring.export()).unwrap();
    assert_eq!(copy.noise_secret(), keyring.noise_secret());
    assert_eq!(copy.dr_secret(), keyring.dr_secret());
    assert_eq!(copy.database_key(), keyring.database_key());
    assert_eq!(copy.identity_version(), keyring.identity_version());
    assert_eq!(copy.slot("a"), Some(&[1; 1000][..]));
    assert_eq!(copy.slot_names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(copy.slot("c"), None);
}

#[test]
fn bounds_its_slots() {
    let mut keyring = keyring();
    let value = |len| Zeroizing::new(vec![0; len]);
    assert!(matches!(keyring.set_slot("", value(1)), Err(Error::Limit(_))));
    assert!(matches!(keyring.set_slot(&"n".repeat(65), value(1)), Err(Error::Limit(_))));
    assert!(matches!(keyring.set_slot("big", value(65_537)), Err(Error::Limit(_))));
    for number in 0..16 {
        keyring.set_slot(&number.to_string(), value(65_536)).unwrap();
    }
    assert!(matches!(keyring.set_slot("more", value(1)), Err(Error::Limit(_))));
    keyring.set_slot("3", value(65_535)).unwrap();
    keyring.set_slot("more", value(1)).unwrap();
    assert!(keyring.clear_slot("0"));
    assert!(!keyring.clear_slot("0"));
    for number in 100..148 {
        keyring.set_slot(&number.to_string(), value(1)).unwrap();
    }
    assert!(matches!(keyring.set_slot("one too many", value(1)), Err(Error::Limit(_))));
    assert_eq!(*Keyring::import(&keyring.export()).unwrap().export(), *keyring.export());
}

#[test]
fn is_another_one_each_time() {
    let mut rng = rng();
    let first = Keyring::generate(&mut rng, T0);
    let second = Keyring::generate(&mut rng, T0);
    assert_ne!(first.identity_secret(), second.identity_secret());
    assert_ne!(first.database_key(), second.database_key());
    let keys = [first.identity_secret(), first.noise_secret(), first.dr_secret(), first.database_key()];
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), 4);
}
