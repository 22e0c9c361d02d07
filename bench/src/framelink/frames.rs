//! Frames of one direction: sealed, and opened, on one core.

use super::{KIB, size_name};
use crate::{
    measure::{Contestant, as_f64, contest},
    progress,
    report::{Aim, Row, rows_of},
};
use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rand::{SeedableRng, rngs::StdRng};
use sha2::block_api::compress256;
use std::hint::black_box;
use waypost_framelink::{
    Align, Block, Error, Framing, OVERHEAD, Opener, Progress, Role, Sealer, code,
    probe::{BLOCK, Kernel, Path},
};

/// Payloads that are measured.
const SIZES: [usize; 8] = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB];
/// From here on the hash is what takes the time, and the frame around it must not.
const AIMED: usize = 4 * KIB;
/// What the aim is about: the chain cannot be faster than the hash it is made of.
const AIM: Aim = Aim::Ratio(0.95);
/// What is sealed before it is opened, so that reading the clock does not count.
const BATCH: usize = 512 * KIB;
const HASH: &str = "sha2, the payload hashed";

pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = kernels()?;
    for size in SIZES {
        progress(&format!("frames of {}", size_name(size)));
        let payload = vec![0x5a; size];
        let aim = (size >= AIMED).then_some((HASH, AIM));
        let unit = ("GB/s", as_f64(size as u64) / 1e9);
        let peers = [("AES-256-GCM of AWS-LC", &AES_256_GCM), ("ChaCha20-Poly1305 of AWS-LC", &CHACHA20_POLY1305)];
        let name = size_name(size);

        let mut field = vec![sealing(Align::Block, size), hash(&payload)];
        field.extend(peers.iter().map(|(name, cipher)| seal_aead(name, cipher, &payload)).collect::<Result<Vec<_>>>()?);
        field.push(sealing(Align::Stream, size));
        let mut speeds = contest(field)?;
        let stream = speeds.pop().context("a speed")?;
        rows.extend(rows_of("frames sealed", &name, unit, &speeds, aim));
        speeds.truncate(2);
        speeds.splice(..1, [stream]);
        rows.extend(rows_of("frames sealed", &format!("{name}, align=stream"), unit, &speeds, aim));

        let mut field = vec![opening(Align::Block, size), hash(&payload)];
        field.extend(peers.iter().map(|(name, cipher)| open_aead(name, cipher, &payload)).collect::<Result<Vec<_>>>()?);
        field.push(opening(Align::Stream, size));
        let mut speeds = contest(field)?;
        let stream = speeds.pop().context("a speed")?;
        rows.extend(rows_of("frames opened", &name, unit, &speeds, aim));
        speeds.truncate(2);
        speeds.splice(..1, [stream]);
        rows.extend(rows_of("frames opened", &format!("{name}, align=stream"), unit, &speeds, aim));
    }
    Ok(rows)
}

/// What frames are made with, by each path that this machine can go. The last is the one in use.
fn kernels() -> Result<Vec<Row>> {
    const SIZE: usize = 64 * KIB;

    progress("kernels");
    let (plain, unit) = (vec![0x5a; SIZE], ("GB/s", as_f64(SIZE as u64) / 1e9));
    let paths: Vec<Path> = Path::available().collect();
    let mut rows = Vec::new();
    for (place, &path) in paths.iter().enumerate() {
        let used = if place + 1 == paths.len() { ", in use here" } else { "" };
        let kernel = || Kernel::with_path(path, &[1; 32], &[2; 16]).context("a path of this machine");
        let (mut sealing, mut opening) = (kernel()?, kernel()?);
        let (mut state, mut sealed) = ([3; 8], vec![0; SIZE]);
        let seal = Contestant::new("ours", |times| {
            (0..times).for_each(|_| sealing.seal(&mut state, 0, black_box(&plain), &plain, &mut sealed));
            Ok(())
        });
        let speeds = contest(vec![seal, hash(&plain)])?;
        rows.extend(rows_of("kernel, 64 KiB", &format!("{path:?}, sealing{used}"), unit, &speeds, None));
        let (mut state, mut opened) = ([3; 8], vec![0; SIZE + 2 * BLOCK]);
        let open = Contestant::new("ours", |times| {
            (0..times).for_each(|_| opening.open(&mut state, 0, &mut opened, 2 * BLOCK, black_box(&plain)));
            Ok(())
        });
        let speeds = contest(vec![open, hash(&plain)])?;
        rows.extend(rows_of("kernel, 64 KiB", &format!("{path:?}, opening{used}"), unit, &speeds, None));
    }
    Ok(rows)
}

/// One direction of a link, and room for frames of one size.
pub(super) struct Frames {
    sealer: Sealer,
    opener: Opener,
    payload: Vec<u8>,
    sealed: Vec<u8>,
}

impl Frames {
    pub(super) fn new(align: Align, size: usize, count: usize) -> Self {
        let block = Block::generate(&mut StdRng::seed_from_u64(4));
        let framing = Framing { align, ..Framing::default() };
        Self {
            sealer: Sealer::new(&block, Role::Top, framing),
            opener: Opener::new(&block, Role::Top, framing),
            payload: vec![0x5a; size],
            sealed: vec![0; (size + OVERHEAD) * count],
        }
    }

    /// The next frames, as many as there is room for at most.
    pub(super) fn seal(&mut self, count: usize) -> Result<(), Error> {
        let mut sealed = self.sealed.chunks_mut(self.payload.len() + OVERHEAD).take(count);
        Ok(sealed.try_for_each(|sealed| self.sealer.seal_to(code::DATA, black_box(&self.payload), sealed))?)
    }

    /// Those that were sealed last.
    pub(super) fn open(&mut self, count: usize) -> Result<()> {
        let mut sealed = self.sealed.chunks(self.payload.len() + OVERHEAD).take(count);
        sealed.try_for_each(|sealed| open(&mut self.opener, sealed))
    }
}

fn open(opener: &mut Opener, mut sealed: &[u8]) -> Result<()> {
    let Progress::Header(_) = opener.push(&mut sealed).map_err(Error::from)? else { bail!("no header") };
    let Progress::Frame(_) = opener.push(&mut sealed).map_err(Error::from)? else { bail!("no frame") };
    black_box(opener.payload());
    Ok(())
}

fn sealing(align: Align, size: usize) -> Contestant<'static> {
    let mut frames = Frames::new(align, size, 1);
    Contestant::new("ours", move |times| Ok((0..times).try_for_each(|_| frames.seal(1))?))
}

fn opening(align: Align, size: usize) -> Contestant<'static> {
    let batch = (BATCH / size).max(1);
    let mut frames = Frames::new(align, size, batch);
    Contestant::timed("ours", move |times, stopwatch| {
        let mut left = usize::try_from(times)?;
        while left > 0 {
            let count = left.min(batch);
            frames.seal(count)?;
            stopwatch.time(|| frames.open(count))?;
            left -= count;
        }
        Ok(())
    })
}

/// The hash alone: no header, no padding, whole blocks.
fn hash(payload: &[u8]) -> Contestant<'_> {
    let (mut state, blocks) = ([3; 8], payload.as_chunks::<BLOCK>().0);
    Contestant::new(HASH, move |times| {
        (0..times).for_each(|_| compress256(&mut state, black_box(blocks)));
        black_box(state);
        Ok(())
    })
}

fn seal_aead<'a>(name: &str, cipher: &'static Algorithm, payload: &[u8]) -> Result<Contestant<'a>> {
    let (key, mut text) = (aead(cipher)?, payload.to_vec());
    Ok(Contestant::new(name, move |times| {
        for _ in 0..times {
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), black_box(&mut text));
            black_box(tag.map_err(|error| anyhow!("{error}"))?.as_ref());
        }
        Ok(())
    }))
}

fn open_aead<'a>(name: &str, cipher: &'static Algorithm, payload: &[u8]) -> Result<Contestant<'a>> {
    let (key, mut sealed, mut opened) = (aead(cipher)?, payload.to_vec(), vec![0; payload.len()]);
    let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed);
    let tag = tag.map_err(|error| anyhow!("{error}"))?;
    Ok(Contestant::new(name, move |times| {
        for _ in 0..times {
            let done = key.open_separate_gather(nonce(), Aad::empty(), black_box(&sealed), tag.as_ref(), &mut opened);
            done.map_err(|error| anyhow!("{error}"))?;
        }
        Ok(())
    }))
}

fn aead(cipher: &'static Algorithm) -> Result<LessSafeKey> {
    Ok(LessSafeKey::new(UnboundKey::new(cipher, &[7; 32]).map_err(|error| anyhow!("{error}"))?))
}

/// The same for all: nothing of it is a secret.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([9; NONCE_LEN])
}
