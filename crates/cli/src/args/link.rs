//! Arguments of `link`.

use clap::{Args as ClapArgs, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use waypost_core::SrempAddress;
use waypost_framelink::{Align, Duplex, MacInit, Mode, Pad, Role, UNLIMITED};

const EXITS: &str = "\
Exit codes:
  0  clean end (raw: nothing proves that it was the whole stream, and a warning says so)
  1  wrong usage, or this machine does not let it: port taken, disk full, file exists
  2  no link: nobody there, wrong key, wrong mode
  3  the stream was cut before its end
  4  bytes were changed on the way, or the other side broke the protocol
  5  the other side was silent or slow for too long
  6  the other side ended it, or this side did
  7  the key or block file cannot be used";

/// `link`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
First steps, on two machines:
  waypost link keygen link.key                       once; copy link.key to the other machine
  waypost link listen 0.0.0.0:7777 --psk-file link.key --target 127.0.0.1:8080
  waypost link connect server.example:7777 --psk-file link.key --local 127.0.0.1:8080
Now everything that connects to port 8080 here comes out at port 8080 there.

  waypost link receive --listen 0.0.0.0:7777 --psk-file link.key
  waypost link send film.mkv --connect server.example:7777 --psk-file link.key

Who holds the key file can be either side: use one key for each pair of machines.")]
pub(crate) enum Link {
    /// Make a key file that both sides need
    #[command(after_help = "\
The file is for its owner alone (0600) and never overwrites another. Copy it to the other
machine by a way that nobody can read along, like scp or a USB stick.

Example:
  waypost link keygen link.key")]
    Keygen(NewFile),
    /// Make a block file for one link of mode raw
    #[command(after_help = "\
A block serves ONE link, once in each role. A second use with the same role is refused on
this machine; copying a block to two machines that use it with the same role would let
anybody who listens read both, and nothing can notice it.

Example:
  waypost link genblock once.block")]
    Genblock(NewFile),
    /// Accept links: one on standard input and output, or all to a TCP port
    Listen(LinkListen),
    /// Connect: standard input and output, or a local TCP port whose connections get a link each
    Connect(LinkConnect),
    /// Send a file; goes on where it stopped when the connection breaks
    Send(LinkSend),
    /// Receive a file; goes on where it stopped when the connection breaks
    Receive(LinkReceive),
}

const MODES: &str = "\
Modes:
  hybrid  fresh keys for every link, also against quantum computers to come; the key file
          only proves who is there
  psk     needs less computing; NO forward secrecy: who gets the key file later can read
          every link that was recorded
  raw     the bare frames with a block file (--block-file, --role): one link, once in each
          role. No handshake, no proof that the stream is whole, no keepalive

With two --role top (or two bottom) on one block both sides send under one key, and who
listens learns what both said; copying a block to two machines with one role does the same.";

const LISTEN_HELP: &str = "\
Without --target the first link that proves the key gets standard input and output, and the
command ends with it. With --target each link gets a connection of its own, until Ctrl-C.
Several --psk-file name the keys that are let in (at most 64).

With port 0 a free one is taken. The bound address is told on stderr: `listening on …`, or
with --json {\"event\":\"listening\",\"address\":\"…\"}. Events always go to stderr.

Examples:
  waypost link listen 0.0.0.0:7777 --psk-file link.key > backup.tar
  waypost link listen 0.0.0.0:7777 --psk-file link.key --target 127.0.0.1:8080
  waypost link listen 0.0.0.0:7777 --mode hybrid,psk --psk-file a.key --psk-file b.key
  waypost link listen 0.0.0.0:7777 --mode raw --block-file once.block";

const CONNECT_HELP: &str = "\
Without --local there is one link on standard input and output. With --local each connection
to that address gets a link of its own, until Ctrl-C.

Examples:
  tar c docs | waypost link connect server.example:7777 --psk-file link.key
  waypost link connect server.example:7777 --psk-file link.key --local 127.0.0.1:8080
  ssh -o ProxyCommand='waypost link connect -q %h:7777 --psk-file link.key' server.example";

const SEND_HELP: &str = "\
One side listens, the other connects, whichever can be reached. The side that connects does
so again by itself when the connection breaks, and the file goes on where the other side has
it. If this command itself ended, give it again. At the end the other side has checked a
SHA-256 over the whole file and has said so.

Examples:
  waypost link send film.mkv --connect server.example:7777 --psk-file link.key
  waypost link send film.mkv --listen 0.0.0.0:7777 --psk-file link.key";

const RECEIVE_HELP: &str = "\
The file gets the name it has at the other side, made harmless, and never overwrites another
unless --force is given. Until it is complete and checked it is called .NAME.waypost-part;
that file is where a broken transfer goes on. The name is printed on standard output.

Examples:
  waypost link receive --listen 0.0.0.0:7777 --psk-file link.key
  waypost link receive downloads --connect server.example:7777 --psk-file link.key";

/// A file that is made.
#[derive(Debug, ClapArgs)]
pub(crate) struct NewFile {
    /// A new file
    pub(crate) file: PathBuf,
}

/// `link listen`.
#[derive(Debug, ClapArgs)]
#[command(after_help = [LISTEN_HELP, MODES, EXITS].join("\n\n"))]
pub(crate) struct LinkListen {
    /// Where to listen
    #[arg(value_name = "ADDR:PORT")]
    pub(crate) address: SocketAddr,
    /// Forward each link to a new connection there
    #[arg(long, value_name = "HOST:PORT", value_parser = host_port)]
    pub(crate) target: Option<SrempAddress>,
    #[command(flatten)]
    pub(crate) options: LinkOptions,
    #[command(flatten)]
    pub(crate) raw: RawOptions,
}

/// `link connect`.
#[derive(Debug, ClapArgs)]
#[command(after_help = [CONNECT_HELP, MODES, EXITS].join("\n\n"))]
pub(crate) struct LinkConnect {
    /// Where `waypost link listen` runs
    #[arg(value_name = "HOST:PORT", value_parser = host_port)]
    pub(crate) to: SrempAddress,
    /// Listen there, and give each connection a link of its own
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) local: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) options: LinkOptions,
    #[command(flatten)]
    pub(crate) raw: RawOptions,
}

/// `link send`.
#[derive(Debug, ClapArgs)]
#[command(after_help = [SEND_HELP, EXITS].join("\n\n"))]
pub(crate) struct LinkSend {
    /// The file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) ends: Ends,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) options: LinkOptions,
}

/// `link receive`.
#[derive(Debug, ClapArgs)]
#[command(after_help = [RECEIVE_HELP, EXITS].join("\n\n"))]
pub(crate) struct LinkReceive {
    /// The folder for it
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Replace a file that has its name
    #[arg(long)]
    pub(crate) force: bool,
    /// Refuse larger files, like 10G
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_size: Option<Size>,
    #[command(flatten)]
    pub(crate) ends: Ends,
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) options: LinkOptions,
}

/// Which side listens.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Ends {
    /// Connect to the other side
    #[arg(long, value_name = "HOST:PORT", value_parser = host_port)]
    pub(crate) connect: Option<SrempAddress>,
    /// Listen for the other side
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

/// For how long a broken transfer is not given up.
#[derive(Debug, ClapArgs)]
pub(crate) struct Patience {
    /// When the connection breaks: try again for so many seconds without getting further
    #[arg(long, value_name = "SECS", default_value_t = 300)]
    pub(crate) retry: u64,
}

/// How a link is.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of the link")]
pub(crate) struct LinkOptions {
    /// The key that both sides have, of `waypost link keygen`
    #[arg(long, value_name = "FILE")]
    pub(crate) psk_file: Vec<PathBuf>,
    /// hybrid, psk or (not for files) raw; to listen, several with commas between them [default: hybrid]
    #[arg(long, value_name = "MODE", value_delimiter = ',', value_parser = mode)]
    pub(crate) mode: Vec<Mode>,
    /// Where frames begin, block or stream; the same on both sides
    #[arg(long, default_value = "block", value_parser = align)]
    pub(crate) align: Align,
    /// Largest frame that is taken; 1024 or more [default: 1M]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_frame: Option<Size>,
    /// Bytes the other side may send ahead of what was read, or `unlimited` [default: 4M]
    #[arg(long, value_name = "BYTES", value_parser = credit)]
    pub(crate) credit: Option<u32>,
    /// Ask for a sign of life after so many seconds, give up after two and a half times as many; 0: never
    /// [default: 60; for files 15]
    #[arg(long, value_name = "SECS")]
    pub(crate) keepalive: Option<u64>,
    /// Hide lengths: none, or bucket to fill up what is written to one of a few sizes
    #[arg(long, default_value = "none", value_parser = pad)]
    pub(crate) pad: Pad,
    /// full, or strict to begin no frame while another comes in
    #[arg(long, default_value = "full", value_parser = duplex)]
    pub(crate) duplex: Duplex,
    /// Take key and block files that others can read
    #[arg(long)]
    pub(crate) insecure_perms: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What only links of mode raw need.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of mode raw")]
pub(crate) struct RawOptions {
    /// The block, of `waypost link genblock`; it works once in each role
    #[arg(long, value_name = "FILE")]
    pub(crate) block_file: Option<PathBuf>,
    /// top or bottom; the other side must be the other one, for two alike give away what both
    /// say [default: top connects, bottom listens]
    #[arg(long, value_parser = role)]
    pub(crate) role: Option<Role>,
    /// secret or standard; standard is for a literal peer, and who knows a plaintext can forge
    #[arg(long, default_value = "secret", value_parser = mac_init)]
    pub(crate) mac_init: MacInit,
    /// The frame number behind the last, 0 or 1; the same on both sides
    #[arg(long, value_name = "N", default_value = "0", value_parser = ["0", "1"])]
    pub(crate) seq_wrap: String,
    /// Where used blocks are remembered [default: waypost in your folder for state]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// A number of bytes, like `65536`, `64K` or `4M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.strip_suffix(['K', 'M', 'G', 'T']) {
            Some(digits) if text.ends_with('K') => (digits, 10),
            Some(digits) if text.ends_with('M') => (digits, 20),
            Some(digits) if text.ends_with('G') => (digits, 30),
            Some(digits) => (digits, 40),
            None => (text, 0),
        };
        let number: Option<u64> = digits.parse().ok();
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| "a number of bytes is needed, like 65536, 64K or 4M".to_owned())
    }
}

fn credit(text: &str) -> Result<u32, String> {
    if text == "unlimited" {
        return Ok(UNLIMITED);
    }
    let Size(bytes) = text.parse()?;
    u32::try_from(bytes).map_err(|_| "at most 2G minus one byte, or `unlimited`".to_owned())
}

fn host_port(text: &str) -> Result<SrempAddress, String> {
    text.parse().map_err(|_| "HOST:PORT is needed, like server.example:7777 or [::1]:7777".to_owned())
}

/// One of a few words.
fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
    let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| format!("there are: {}", names.join(", ")))
}

fn mode(text: &str) -> Result<Mode, String> {
    word(text, &[Mode::Hybrid, Mode::Psk, Mode::Raw].map(|mode| (mode.name(), mode)))
}

fn role(text: &str) -> Result<Role, String> {
    word(text, &[Role::Top, Role::Bottom].map(|role| (role.name(), role)))
}

fn align(text: &str) -> Result<Align, String> {
    word(text, &[("block", Align::Block), ("stream", Align::Stream)])
}

fn mac_init(text: &str) -> Result<MacInit, String> {
    word(text, &[("secret", MacInit::Secret), ("standard", MacInit::Standard)])
}

fn pad(text: &str) -> Result<Pad, String> {
    word(text, &[("none", Pad::None), ("bucket", Pad::Bucket)])
}

fn duplex(text: &str) -> Result<Duplex, String> {
    word(text, &[("full", Duplex::Full), ("strict", Duplex::Strict)])
}
