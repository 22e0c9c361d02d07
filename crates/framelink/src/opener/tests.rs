use super::*;
use crate::{Align, Sealer};
use aes::{
    Aes256,
    cipher::{KeyIvInit, StreamCipher},
};
use ctr::Ctr128BE;
use proptest::{collection::vec, prelude::*};

/// Lengths around each edge of the hash's and of the cipher's blocks, and longer ones.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![4 => 0..200_usize, 1 => 200..1000_usize, 1 => 4000..9000_usize], 1..40)
}

/// Frames as the profile states them: the whole message hashed, then all of it encrypted.
fn plainly(block: &Block, align: Align, payloads: &[Vec<u8>]) -> Vec<u8> {
    let half = block.half(Role::Top);
    let mut chain = Chain::from_bytes(&half.chain);
    let mut cipher = Ctr128BE::<Aes256>::new(&half.key.into(), &half.counter.into());
    let mut wire = Vec::new();
    for (payload, seq) in payloads.iter().zip(1..) {
        let length = u32::try_from(payload.len()).unwrap();
        let mut frame = Header { length, code: 7, seq }.encode().to_vec();
        frame.extend(payload);
        let tag = chain.tag(&frame);
        frame.extend(tag);
        cipher.apply_keystream(&mut frame);
        if align == Align::Block {
            cipher.apply_keystream(&mut vec![0; frame.len().next_multiple_of(16) - frame.len()]);
        }
        wire.extend(frame);
    }
    wire
}

proptest! {
    #[test]
    fn frames_are_those_of_plain_libraries_and_open_in_any_pieces(
        stream: bool,
        lengths in lengths(),
        pieces in vec(prop_oneof![1..100_usize, 100..6000_usize], 1..20),
        key: [u8; 32],
    ) {
        let mut file = [0; crate::BLOCK_LEN];
        file[..32].copy_from_slice(&key);
        file[40..100].fill(0xa7);
        let block = Block::from_file(&file).unwrap_or_else(|_| Block::derived(&[9; crate::BLOCK_LEN]));
        let align = if stream { Align::Stream } else { Align::Block };
        let framing = Framing { align, ..Framing::default() };
        let payload = |(place, length): (usize, &usize)| vec![u8::try_from(place).unwrap() ^ 0x5a; *length];
        let payloads: Vec<_> = lengths.iter().enumerate().map(payload).collect();
        let (mut sealer, mut wire) = (Sealer::new(&block, Role::Top, framing), Vec::new());
        for payload in &payloads {
            sealer.seal(7, payload, &mut wire).unwrap();
        }
        prop_assert_eq!(&wire, &plainly(&block, align, &payloads));

        let (mut opener, mut opened) = (Opener::new(&block, Role::Top, framing), Vec::new());
        let (mut rest, mut sizes) = (wire.as_slice(), pieces.iter().cycle());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = after;
            while !piece.is_empty() {
                if let Progress::Frame(_) = opener.push(&mut piece).unwrap() {
                    opened.push(opener.payload().to_vec());
                }
            }
        }
        prop_assert_eq!(opened, payloads);
        prop_assert_eq!(sealer.next_counter(), opener.keystream.next());
    }
}
