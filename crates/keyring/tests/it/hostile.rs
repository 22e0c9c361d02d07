use crate::{keyring, passphrase, rng};
use proptest::prelude::*;
use waypost_keyring::{Error, KdfCost, Keyring, sealed};

fn container() -> Vec<u8> {
    sealed::seal(b"some content", &passphrase(), KdfCost::DANGER_FAST, &mut rng(), "test").unwrap()
}

#[test]
fn opens_only_for_its_purpose_and_whole() {
    let sealed = container();
    assert_eq!(*sealed::open(&sealed, &passphrase(), "test").unwrap(), b"some content");
    assert_eq!(sealed::purpose(&sealed), Some("test"));
    assert!(matches!(sealed::open(&sealed, &passphrase(), "tess"), Err(Error::OtherPurpose { .. })));
    for len in 0..sealed.len() {
        assert!(sealed::open(&sealed[..len], &passphrase(), "test").is_err(), "cut to {len}");
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert!(sealed::open(&longer, &passphrase(), "test").is_err());
    for purpose in ["", &"p".repeat(33)] {
        let refused = sealed::seal(b"", &passphrase(), KdfCost::DANGER_FAST, &mut rng(), purpose);
        assert!(matches!(refused, Err(Error::Limit(_))));
    }
}

#[test]
fn notices_every_flipped_bit() {
    let sealed = container();
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(sealed::open(&flipped, &passphrase(), "test").is_err(), "byte {at}");
    }
}

#[test]
fn does_not_trust_a_checksum_somebody_made_anew() {
    use sha2::{Digest, Sha256};
    let sealed = container();
    // Past magic, format and cost: what no check of form can notice.
    for at in (21..61).chain(66..sealed.len() - 32) {
        let mut forged = sealed.clone();
        forged[at] ^= 0x40;
        let (content, checksum) = forged.split_last_chunk_mut::<32>().unwrap();
        checksum.copy_from_slice(&Sha256::digest(&*content));
        assert!(matches!(sealed::open(&forged, &passphrase(), "test"), Err(Error::WrongPassphrase)), "byte {at}");
    }
}

#[test]
fn refuses_a_cost_nobody_can_pay_before_it_starts() {
    for (memory, passes, lanes) in [(u32::MAX, 1, 1), (1 << 21, 1, 1), (64, u32::MAX, 1), (64, 1, u32::MAX), (0, 0, 0)]
    {
        let mut sealed = container();
        for (number, at) in [memory, passes, lanes].into_iter().zip([9, 13, 17]) {
            sealed[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        assert!(matches!(sealed::open(&sealed, &passphrase(), "test"), Err(Error::Limit(_))));
    }
}

#[test]
fn imports_nothing_but_a_whole_keyring() {
    let whole = keyring().export();
    for len in 0..whole.len() {
        assert!(Keyring::import(&whole[..len]).is_err(), "cut to {len}");
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert!(matches!(Keyring::import(&longer), Err(Error::Damaged(_))));
    let mut newer = whole.to_vec();
    newer[0] = 9;
    assert!(matches!(Keyring::import(&newer), Err(Error::Newer { found: 9, known: 1 })));
    let mut frozen = whole.to_vec();
    frozen[65..73].fill(0xff);
    assert!(matches!(Keyring::import(&frozen), Err(Error::Damaged(_))));
}

#[test]
fn imports_no_slot_twice() {
    let mut bytes = keyring().export().to_vec();
    bytes.truncate(89);
    bytes.extend_from_slice(&[0, 2]);
    for _ in 0..2 {
        bytes.extend_from_slice(&[1, b'a', 0, 0, 0, 1, 7]);
    }
    assert!(matches!(Keyring::import(&bytes), Err(Error::Damaged("a slot is there twice"))));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in 0..3_usize) {
        let whole = match head {
            0 => Vec::new(),
            1 => b"WPSEALED\x01\0\0\0\x40\0\0\0\x01\0\0\0\x01".to_vec(),
            _ => vec![1],
        };
        let bytes = [whole, bytes].concat();
        prop_assert!(sealed::open(&bytes, &passphrase(), "test").is_err());
        if let Ok(keyring) = Keyring::import(&bytes) {
            prop_assert_eq!(&**keyring.export(), bytes.as_slice(), "there is one encoding only");
        }
    }
}
