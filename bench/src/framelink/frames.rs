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

        let mut field = vec![seal(Align::Block, size)?, hash(&payload)];
        field.extend(peers.iter().map(|(name, cipher)| seal_aead(name, cipher, &payload)).collect::<Result<Vec<_>>>()?);
        field.push(seal(Align::Stream, size)?);
        let mut speeds = contest(field)?;
        let stream = speeds.pop().context("a speed")?;
        rows.extend(rows_of("frames sealed", &name, unit, &speeds, aim));
        speeds.truncate(2);
        speeds.splice(..1, [stream]);
        rows.extend(rows_of("frames sealed", &format!("{name}, align=stream"), unit, &speeds, aim));

        let mut field = vec![open(Align::Block, size)?, hash(&payload)];
        field.extend(peers.iter().map(|(name, cipher)| open_aead(name, cipher, &payload)).collect::<Result<Vec<_>>>()?);
        field.push(open(Align::Stream, size)?);
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
            (0..times).for_each(|_| sealing.seal(&mut state, 0, black_box(&plain), &mut sealed));
            Ok(())
        });
        let speeds = contest(vec![seal, hash(&plain)])?;
        rows.extend(rows_of("kernel, 64 KiB", &format!("{path:?}, sealing{used}"), unit, &speeds, None));
        let (mut state, mut opened) = ([3; 8], vec![0; SIZE + BLOCK]);
        let open = Contestant::new("ours", |times| {
            (0..times).for_each(|_| opening.open(&mut state, 0, &mut opened, black_box(&plain)));
            Ok(())
        });
        let speeds = contest(vec![open, hash(&plain)])?;
        rows.extend(rows_of("kernel, 64 KiB", &format!("{path:?}, opening{used}"), unit, &speeds, None));
    }
    Ok(rows)
}

fn pair(align: Align) -> (Sealer, Opener) {
    let block = Block::generate(&mut StdRng::seed_from_u64(4));
    let framing = Framing { align, ..Framing::default() };
    (Sealer::new(&block, Role::Top, framing), Opener::new(&block, Role::Top, framing))
}

fn seal(align: Align, size: usize) -> Result<Contestant<'static>> {
    let (mut sealer, _) = pair(align);
    let (payload, mut sealed) = (vec![0x5a; size], vec![0; size + OVERHEAD]);
    Ok(Contestant::new("ours", move |times| {
        let seal = |_| sealer.seal_to(code::DATA, black_box(&payload), &mut sealed);
        Ok((0..times).try_for_each(seal).map_err(Error::from)?)
    }))
}

fn open(align: Align, size: usize) -> Result<Contestant<'static>> {
    let (mut sealer, mut opener) = pair(align);
    let frame = size + OVERHEAD;
    let (payload, mut sealed) = (vec![0x5a; size], vec![0; BATCH.max(frame) / frame * frame]);
    let batch = (sealed.len() / frame) as u64;
    Ok(Contestant::timed("ours", move |mut times, stopwatch| {
        while times > 0 {
            let count = times.min(batch);
            let end = usize::try_from(count)? * frame;
            let sealed = sealed.get_mut(..end).context("the batch")?;
            for sealed in sealed.chunks_mut(frame) {
                sealer.seal_to(code::DATA, &payload, sealed).map_err(Error::from)?;
            }
            stopwatch.time(|| sealed.chunks(frame).try_for_each(|frame| open_one(&mut opener, frame)))?;
            times -= count;
        }
        Ok(())
    }))
}

fn open_one(opener: &mut Opener, mut frame: &[u8]) -> Result<()> {
    let Progress::Header(_) = opener.push(&mut frame).map_err(Error::from)? else { bail!("no header") };
    let Progress::Frame(_) = opener.push(&mut frame).map_err(Error::from)? else { bail!("no frame") };
    black_box(opener.payload());
    Ok(())
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
            black_box(tag.map_err(|error| anyhow!("{error}"))?);
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
