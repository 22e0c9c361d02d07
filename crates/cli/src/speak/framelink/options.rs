//! What a link is made of, as the command line gives it.

use crate::speak::BadInput;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;
use waypost_framelink::{Align, Block, Duplex, Limits, MacInit, Mode, Pad, Psk, Role, Settings};
use waypost_net::Perms;
use waypost_net::framelink::{self, Link};
use zeroize::Zeroizing;

/// A peer is given up after so many keepalive periods. Profile, Timers: 60 s and 150 s.
const DEAD: f64 = 2.5;

/// Options of both sides.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// File with a pre-shared key; may be repeated where more than one is known
    #[arg(long, value_name = "FILE")]
    psk_file: Vec<PathBuf>,
    /// A pre-shared key, 64 hex digits; may be repeated as well. Other users of this machine can see it
    #[arg(long, value_name = "HEX", value_parser = psk)]
    psk: Vec<Psk>,
    /// How the link is established: hybrid, psk or raw; the side that answers may allow hybrid,psk
    #[arg(long, value_delimiter = ',', default_value = "hybrid", value_name = "MODE", value_parser = mode)]
    mode: Vec<Mode>,
    /// File with the block of a raw link, 256 bytes
    #[arg(long, value_name = "FILE", conflicts_with = "block")]
    block_file: Option<PathBuf>,
    /// The block of a raw link, 512 hex digits. Other users of this machine can see it
    #[arg(long, value_name = "HEX", value_parser = block)]
    block: Option<Block>,
    /// Which half to send with [default: top connects, bottom listens]. Two raw sides of one role encrypt
    /// different bytes with the same keystream
    #[arg(long, value_name = "top|bottom", value_parser = role)]
    role: Option<Role>,
    /// Where frames begin in the keystream. The same on both sides
    #[arg(long, default_value = "block", value_name = "block|stream", value_parser = align)]
    align: Align,
    /// Where the hash chain of a raw link starts. The same on both sides
    #[arg(long, default_value = "secret", value_name = "secret|standard", value_parser = mac_init)]
    mac_init: MacInit,
    /// Number of the frame behind 0xffffffff (raw)
    #[arg(long, value_name = "0|1", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=1))]
    seq_wrap: u8,
    /// Number of the first frame each way (raw; to test what happens at the wrap)
    #[arg(long, value_name = "N", default_value = "1", value_parser = number)]
    start_seq: u32,
    /// Largest frame that is taken
    #[arg(long, value_name = "BYTES", value_parser = number)]
    max_frame: Option<u32>,
    /// Bytes that may come before they are read; 0xffffffff for no limit
    #[arg(long, value_name = "BYTES", value_parser = number)]
    credit: Option<u32>,
    /// Frames that one key seals
    #[arg(long, value_name = "N")]
    rekey_frames: Option<u64>,
    /// AES blocks that one key seals
    #[arg(long, value_name = "N")]
    rekey_blocks: Option<u64>,
    /// Seconds of silence until the peer is asked for a sign of life, 0 for never
    #[arg(long, value_name = "SECONDS")]
    keepalive: Option<f64>,
    /// Whether lengths are hidden
    #[arg(long, default_value = "none", value_name = "none|bucket", value_parser = pad)]
    pad: Pad,
    /// Whether frames are begun while one comes in
    #[arg(long, default_value = "full", value_name = "full|strict", value_parser = duplex)]
    duplex: Duplex,
    /// Frames are not told as they come, but read by `recv`
    #[arg(long)]
    manual: bool,
    /// Folder with the ledger of raw blocks that were used. It knows this machine alone: a block copied to
    /// another one must not be used there in the same role
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Use a raw block though nobody remembers it. For tests only: a block that is used twice in one role
    /// shows what both links said
    #[arg(long, conflicts_with = "state_dir")]
    no_ledger: bool,
    /// Take key and block files that others can read
    #[arg(long)]
    insecure_perms: bool,
}

/// Options that go together; a raw block is in the ledger.
pub(super) struct Options {
    role: Role,
    settings: Settings,
    secret: Secret,
    /// Whether frames wait for `recv`.
    pub(super) manual: bool,
}

enum Secret {
    Raw(Box<Block>),
    Keyed { psks: Vec<Psk>, modes: Vec<Mode> },
}

impl LinkArgs {
    pub(super) fn check(self: Box<Self>, by_place: Role) -> anyhow::Result<Options> {
        let role = self.role.unwrap_or(by_place);
        let settings = self.settings()?;
        for &mode in &self.mode {
            settings.check(mode).map_err(|_| BadInput("these settings do not go together"))?;
        }
        let manual = self.manual;
        let secret = if self.mode == [Mode::Raw] { self.raw(role)? } else { self.keyed(role)? };
        Ok(Options { role, settings, secret, manual })
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings { duplex: self.duplex, pad: self.pad, ..Settings::default() };
        let framing = &mut settings.framing;
        (framing.align, framing.mac_init) = (self.align, self.mac_init);
        (framing.wraps_to_one, framing.first_seq) = (self.seq_wrap == 1, self.start_seq);
        let usual = Limits::default();
        settings.limits = Limits {
            max_frame: self.max_frame.unwrap_or(usual.max_frame),
            credit: self.credit.unwrap_or(usual.credit),
            rekey_frames: self.rekey_frames.unwrap_or(usual.rekey_frames),
            rekey_blocks: self.rekey_blocks.unwrap_or(usual.rekey_blocks),
            ..usual
        };
        if let Some(seconds) = self.keepalive {
            let period = |seconds| Duration::try_from_secs_f64(seconds).map_err(|_| BadInput("--keepalive is no time"));
            settings.timing.keepalive = Some(period(seconds)?).filter(|period| !period.is_zero());
            settings.timing.dead = period(seconds * DEAD)?;
        }
        Ok(settings)
    }

    const fn perms(&self) -> Perms {
        if self.insecure_perms { Perms::Any } else { Perms::OwnersOnly }
    }

    fn raw(self, role: Role) -> anyhow::Result<Secret> {
        let perms = self.perms();
        if !self.psk_file.is_empty() || !self.psk.is_empty() {
            return Err(BadInput("raw takes --block-file or --block, and no key").into());
        }
        if self.state_dir.is_none() && !self.no_ledger {
            return Err(BadInput("raw needs --state-dir, or for a test --no-ledger").into());
        }
        let block = match (&self.block_file, self.block) {
            (Some(file), _) => framelink::read_block(file, perms)?,
            (None, Some(block)) => block,
            (None, None) => return Err(BadInput("raw needs --block-file or --block").into()),
        };
        if let Some(state) = &self.state_dir {
            framelink::enter_block(&block, role, state)?;
        }
        Ok(Secret::Raw(Box::new(block)))
    }

    fn keyed(self, role: Role) -> anyhow::Result<Secret> {
        if self.mode.contains(&Mode::Raw) {
            return Err(BadInput("raw goes with no other mode").into());
        }
        if self.block_file.is_some() || self.block.is_some() || self.state_dir.is_some() || self.start_seq != 1 {
            return Err(BadInput("blocks, their ledger and --start-seq are for raw").into());
        }
        let perms = self.perms();
        let mut psks = self.psk;
        for file in &self.psk_file {
            psks.push(framelink::read_psk_with(file, perms)?);
        }
        match (role, psks.len(), self.mode.len()) {
            (_, 0, _) => Err(BadInput("a key is needed: --psk-file or --psk").into()),
            (Role::Top, 1, 1) | (Role::Bottom, ..) => Ok(Secret::Keyed { psks, modes: self.mode }),
            (Role::Top, ..) => Err(BadInput("the top side has one key and one mode").into()),
        }
    }
}

impl Options {
    pub(super) const fn role(&self) -> Role {
        self.role
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn modes(&self) -> &[Mode] {
        match &self.secret {
            Secret::Raw(_) => &[Mode::Raw],
            Secret::Keyed { modes, .. } => modes,
        }
    }

    /// A link over this stream.
    pub(super) fn link(&self, stream: TcpStream) -> Result<Link, waypost_net::Error> {
        let settings = self.settings.clone();
        match (&self.secret, self.role) {
            (Secret::Raw(block), role) => Link::raw(stream, block, role, settings),
            (Secret::Keyed { psks, modes }, Role::Top) => match (psks.first(), modes.first()) {
                (Some(psk), Some(&mode)) => Link::connect(stream, psk.clone(), mode, settings),
                _ => Err(waypost_framelink::Error::from(waypost_framelink::Fault::BadConfig).into()),
            },
            (Secret::Keyed { psks, modes }, Role::Bottom) => {
                Link::accept(stream, psks.clone(), modes.clone(), settings)
            }
        }
    }
}

fn psk(text: &str) -> Result<Psk, String> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, bytes.as_mut_slice()).map_err(|_| "a key is 64 hex digits".to_owned())?;
    Psk::from_bytes(*bytes).map_err(|fault| fault.to_string())
}

fn block(text: &str) -> Result<Block, String> {
    let bytes = Zeroizing::new(hex::decode(text).map_err(|_| "a block is 512 hex digits".to_owned())?);
    Block::from_file(&bytes).map_err(|fault| fault.to_string())
}

fn mode(text: &str) -> Result<Mode, String> {
    named(text, [Mode::Raw, Mode::Psk, Mode::Hybrid].map(|mode| (mode.name(), mode)))
}

fn role(text: &str) -> Result<Role, String> {
    named(text, [Role::Top, Role::Bottom].map(|role| (role.name(), role)))
}

fn align(text: &str) -> Result<Align, String> {
    named(text, [("block", Align::Block), ("stream", Align::Stream)])
}

fn mac_init(text: &str) -> Result<MacInit, String> {
    named(text, [("secret", MacInit::Secret), ("standard", MacInit::Standard)])
}

fn pad(text: &str) -> Result<Pad, String> {
    named(text, [("none", Pad::None), ("bucket", Pad::Bucket)])
}

fn duplex(text: &str) -> Result<Duplex, String> {
    named(text, [("full", Duplex::Full), ("strict", Duplex::Strict)])
}

fn named<T, const N: usize>(text: &str, known: [(&str, T); N]) -> Result<T, String> {
    let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    known.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value).ok_or(format!("one of {names}"))
}

fn number(text: &str) -> Result<u32, String> {
    let read = text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16));
    read.map_err(|_| "a number of 32 bits, decimal or 0x and hex digits".to_owned())
}
