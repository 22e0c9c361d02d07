//! What goes through a tunnel: bytes and round trips, by the wall clock.

use super::PLAIN;
use crate::{child::Server, measure::as_f64};
use anyhow::{Context, Result, anyhow, ensure};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// Bytes of one direction in one round.
const BYTES: usize = 256 << 20;
/// Written and read at once.
const CHUNK: usize = 64 * 1024;
const PING: usize = 64;
const PINGS: usize = 2_000;
/// Before they count.
const WARM_UP: usize = 200;
/// A byte that tells our connection from one that only looked whether somebody listens.
const HELLO: u8 = 0x5a;
const PATIENCE: Duration = Duration::from_secs(20);

/// A way for TCP from here to here.
pub(super) struct Tunnel {
    pub(super) name: String,
    /// Where connections are taken.
    pub(super) entry: SocketAddr,
    /// Where they come out.
    pub(super) exit: TcpListener,
    /// What ends with it.
    pub(super) _servers: Vec<Server>,
}

/// No tunnel at all.
pub(super) fn plain() -> Result<Tunnel> {
    let exit = exit()?;
    Ok(Tunnel { name: PLAIN.into(), entry: exit.local_addr()?, exit, _servers: Vec::new() })
}

/// Somewhere for a tunnel to lead.
pub(super) fn exit() -> Result<TcpListener> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
}

/// Both ends of a connection.
pub(super) struct Ends {
    near: TcpStream,
    far: TcpStream,
}

impl Ends {
    pub(super) fn through(tunnel: &Tunnel) -> Result<Self> {
        let mut near = TcpStream::connect(tunnel.entry)?;
        near.write_all(&[HELLO])?;
        loop {
            let (mut far, _) = tunnel.exit.accept()?;
            far.set_read_timeout(Some(PATIENCE))?;
            let mut hello = [0];
            if far.read(&mut hello).is_ok_and(|read| read == 1) && hello == [HELLO] {
                for end in [&near, &far] {
                    end.set_nodelay(true)?;
                    end.set_read_timeout(Some(PATIENCE))?;
                }
                return Ok(Self { near, far });
            }
        }
    }

    /// Microseconds of round trips, one after the other.
    pub(super) fn pings(&mut self) -> Result<Vec<f64>> {
        let Self { near, far } = self;
        thread::scope(|scope| {
            let echo = scope.spawn(|| -> Result<()> {
                let mut ping = [0; PING];
                for _ in 0..WARM_UP + PINGS {
                    far.read_exact(&mut ping)?;
                    far.write_all(&ping)?;
                }
                Ok(())
            });
            let (mut ping, mut took) = ([HELLO; PING], Vec::new());
            for _ in 0..WARM_UP + PINGS {
                let start = Instant::now();
                near.write_all(&ping)?;
                near.read_exact(&mut ping)?;
                took.push(start.elapsed().as_secs_f64() * 1e6);
            }
            ended(echo)?;
            Ok(took.split_off(WARM_UP))
        })
    }

    /// MB/s from the near end to the far one.
    pub(super) fn one_way(&mut self) -> Result<f64> {
        let (near, far) = (&self.near, &self.far);
        thread::scope(|scope| {
            let start = Instant::now();
            let source = scope.spawn(|| pour(near));
            drain(far)?;
            let took = start.elapsed();
            ended(source)?;
            Ok(megabytes(1) / took.as_secs_f64())
        })
    }

    /// MB/s of both directions together.
    pub(super) fn both_ways(&mut self) -> Result<f64> {
        let (near, far) = (&self.near, &self.far);
        thread::scope(|scope| {
            let start = Instant::now();
            let sources = [scope.spawn(|| pour(near)), scope.spawn(|| pour(far))];
            let sink = scope.spawn(|| drain(far));
            drain(near)?;
            ended(sink)?;
            let took = start.elapsed();
            sources.into_iter().try_for_each(ended)?;
            Ok(megabytes(2) / took.as_secs_f64())
        })
    }
}

fn pour(mut to: &TcpStream) -> Result<()> {
    let chunk = vec![HELLO; CHUNK];
    for _ in 0..BYTES / CHUNK {
        to.write_all(&chunk)?;
    }
    Ok(())
}

fn drain(mut from: &TcpStream) -> Result<()> {
    let (mut chunk, mut left) = (vec![0; CHUNK], BYTES);
    while left > 0 {
        let most = left.min(CHUNK);
        let read = from.read(chunk.get_mut(..most).context("a chunk")?)?;
        ensure!(read > 0, "the tunnel ended early");
        left -= read;
    }
    Ok(())
}

fn ended(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

fn megabytes(directions: u64) -> f64 {
    as_f64(BYTES as u64 * directions) / 1e6
}
