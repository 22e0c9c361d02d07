//! Options as typed, checked: which keys, which modes, how frames are.

use super::ending;
use crate::args::{LinkOptions, RawOptions, Size};
use crate::failure::{Exit, Failure, LinkExit};
use std::path::PathBuf;
use std::time::Duration;
use waypost_framelink::{Framing, Limits, MacInit, Mode, Psk, Role, Settings, Timing};
use waypost_net::Perms;
use waypost_net::framelink::read_psk_with;

/// Keys that a listener tries at most. Profile, Tool.
const MOST_KEYS: usize = 64;

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Connects,
    Listens,
}

/// How links are to be.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) secret: Secret,
}

/// What both sides know.
pub(super) enum Secret {
    Keyed(Keys),
    Raw(RawBlock),
}

/// Keys, and the modes they are used in.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) psks: Vec<Psk>,
    pub(super) modes: Vec<Mode>,
}

/// A block that was not taken yet.
pub(super) struct RawBlock {
    pub(super) file: PathBuf,
    pub(super) role: Role,
    pub(super) state: PathBuf,
    pub(super) perms: Perms,
}

impl Plan {
    /// Checks the options, and reads the keys.
    pub(super) fn new(options: &LinkOptions, of_raw: Option<&RawOptions>, side: Side) -> Result<Self, Failure> {
        let modes = if options.mode.is_empty() { vec![Mode::Hybrid] } else { options.mode.clone() };
        let raw = modes.contains(&Mode::Raw);
        if raw && modes.len() > 1 {
            return Err(usage("raw goes with no other mode", "give --mode raw alone"));
        }
        if modes.len() > 1 && side == Side::Connects {
            return Err(usage("the side that connects uses one mode", "give one --mode"));
        }
        if let (false, Some(of_raw)) = (raw, of_raw) {
            refuse_options_of_raw(of_raw)?;
        }
        let settings = settings(options, of_raw.filter(|_| raw))?;
        settings.check(if raw { Mode::Raw } else { Mode::Hybrid }).map_err(|_| {
            let reason = "these numbers cannot be: --max-frame is 1024 or more, and --credit 1 to 2G minus one byte";
            usage(reason, "leave them away to use the defaults")
        })?;
        let secret = match (raw, of_raw) {
            (false, _) => Secret::Keyed(keys(options, modes, side)?),
            (true, Some(of_raw)) => Secret::Raw(block(options, of_raw, side)?),
            (true, None) => {
                return Err(usage("files do not travel in mode raw", "use --mode hybrid or psk, with --psk-file"));
            }
        };
        Ok(Self { settings, secret })
    }
}

impl Keys {
    /// The key and the mode of the side that connects.
    pub(super) fn one(&self) -> Option<(Psk, Mode)> {
        Some((self.psks.first()?.clone(), *self.modes.first()?))
    }
}

fn refuse_options_of_raw(options: &RawOptions) -> Result<(), Failure> {
    let of_raw = [
        (options.block_file.is_some(), "--block-file"),
        (options.role.is_some(), "--role"),
        (options.mac_init == MacInit::Standard, "--mac-init standard"),
        (options.seq_wrap == "1", "--seq-wrap 1"),
    ];
    match of_raw.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(usage(&format!("{name} is for --mode raw"), "leave it away, or give --mode raw")),
        None => Ok(()),
    }
}

fn keys(options: &LinkOptions, modes: Vec<Mode>, side: Side) -> Result<Keys, Failure> {
    match (options.psk_file.len(), side) {
        (0, _) => return Err(usage("--psk-file is missing", "make a key with `waypost link keygen link.key`")),
        (2.., Side::Connects) => return Err(usage("the side that connects uses one key", "give one --psk-file")),
        (count, _) if count > MOST_KEYS => {
            return Err(usage("there are more than 64 --psk-file", "run another `waypost link listen` for the rest"));
        }
        _ => {}
    }
    let read = |file: &PathBuf| read_psk_with(file, perms(options)).map_err(ending::key_file);
    Ok(Keys { psks: options.psk_file.iter().map(read).collect::<Result<_, _>>()?, modes })
}

fn block(options: &LinkOptions, of_raw: &RawOptions, side: Side) -> Result<RawBlock, Failure> {
    if !options.psk_file.is_empty() {
        return Err(usage("--psk-file is not for --mode raw", "give --block-file instead"));
    }
    let Some(file) = of_raw.block_file.clone() else {
        return Err(usage("--block-file is missing", "make a block with `waypost link genblock once.block`"));
    };
    let role = of_raw.role.unwrap_or(match side {
        Side::Connects => Role::Top,
        Side::Listens => Role::Bottom,
    });
    let state = match &of_raw.state_dir {
        Some(folder) => folder.clone(),
        None => default_state()?,
    };
    Ok(RawBlock { file, role, state, perms: perms(options) })
}

const fn perms(options: &LinkOptions) -> Perms {
    if options.insecure_perms { Perms::Any } else { Perms::OwnersOnly }
}

fn settings(options: &LinkOptions, raw: Option<&RawOptions>) -> Result<Settings, Failure> {
    let defaults = (Limits::default(), Timing::default());
    let max_frame = match options.max_frame {
        Some(Size(bytes)) => u32::try_from(bytes)
            .map_err(|_| usage("--max-frame is at most 4G minus one byte", "leave it away to use the default"))?,
        None => defaults.0.max_frame,
    };
    let keepalive = options.keepalive.map(Duration::from_secs).or(defaults.1.keepalive);
    let keepalive = keepalive.filter(|every| !every.is_zero() && raw.is_none());
    let dead = keepalive.map_or(defaults.1.dead, |every| every.saturating_mul(5) / 2);
    Ok(Settings {
        framing: Framing {
            align: options.align,
            mac_init: raw.map_or_else(MacInit::default, |raw| raw.mac_init),
            wraps_to_one: raw.is_some_and(|raw| raw.seq_wrap == "1"),
            ..Framing::default()
        },
        duplex: options.duplex,
        pad: options.pad,
        limits: Limits { max_frame, credit: options.credit.unwrap_or(defaults.0.credit), ..defaults.0 },
        timing: Timing { keepalive, dead, ..defaults.1 },
    })
}

/// `waypost` in the user's folder for state (XDG base directories). Not the data folder: a block is used once on
/// this machine, whoever one is in Waypost.
fn default_state() -> Result<PathBuf, Failure> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        usage("neither XDG_STATE_HOME nor HOME is set", "say with --state-dir DIR where used blocks are remembered")
    })?;
    Ok(state.join("waypost"))
}

/// Options that do not go together.
pub(super) fn usage(message: &str, hint: &str) -> Failure {
    Failure::bad_input(message).or_hint(hint).exiting(Exit::Link(LinkExit::Usage))
}
