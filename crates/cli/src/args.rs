//! The arguments as they are typed.

mod link;
mod servers;

use crate::failure::{Exit, LinkExit};
use crate::speak::Speak;
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
pub(crate) use link::{
    Ends, Link, LinkConnect, LinkListen, LinkOptions, LinkReceive, LinkSend, NewFile, RawOptions, Size,
};
pub(crate) use servers::{Ping, Serve, ServerCommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use waypost_core::{Address, LetterId, SrempAddress};

const AFTER_HELP: &str = "\
First steps:
  waypost init --name Alice        make your identity
  waypost up                       run your node (leave it running)
  waypost card --invite            print your card; give it to a friend
  waypost contact add 'waypost:…'  add a friend's card
  waypost send bob 'hello'         write a letter
  waypost inbox                    read what came in

Exit codes:
  0  done
  1  failed
  2  wrong usage or input
  3  not found
  4  not reachable, or not delivered in time
  5  locked: passphrase wrong or missing
  6  security warning: a key or a number does not fit
  7  a limit was reached";

/// Private letters, by whichever way works.
#[derive(Debug, Parser)]
#[command(name = "waypost", version, about, after_help = AFTER_HELP, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The exit code of arguments that cannot be parsed: `link` counts otherwise than the rest.
    pub(crate) fn usage_exit() -> Exit {
        let matches = Self::command().ignore_errors(true).try_get_matches();
        match matches.as_ref().map(clap::ArgMatches::subcommand_name) {
            Ok(Some("link")) => Exit::Link(LinkExit::Usage),
            _ => Exit::BadInput,
        }
    }
}

/// What holds for every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// Data folder [default: waypost in your folder for data]
    #[arg(long, global = true, value_name = "DIR", env = "WAYPOST_HOME", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// File whose first line is the passphrase; else $WAYPOST_PASSPHRASE, else a prompt
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Log more to stderr; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make your identity
    Init(Init),
    /// Run your node until it is interrupted
    Up(Up),
    /// Stop the node that `waypost up` runs
    Stop,
    /// Show who you are
    Id(IdArgs),
    /// Print your card: what others need to write to you
    Card(CardArgs),
    /// Your contacts
    #[command(subcommand)]
    Contact(Contact),
    /// Write a letter
    Send(Send),
    /// Show letters that came in
    Inbox(Inbox),
    /// Show the conversation with a contact
    History(History),
    /// Find letters by their words
    Search(Search),
    /// Mark letters as read
    Read(Read),
    /// Talk with a contact, line by line
    Chat(Chat),
    /// Show how a letter travelled, step by step
    Trace(Trace),
    /// Show how your node is
    Status,
    /// Find out what keeps letters from flowing
    Doctor,
    /// Test your servers, and name the path to each contact
    Netcheck,
    /// Name the path to one contact, and how long it takes
    Ping(Ping),
    /// The relays and rendezvous servers you use
    #[command(subcommand)]
    Server(ServerCommand),
    /// Run servers that others can use
    Serve(Serve),
    /// Write an encrypted backup of everything
    Export(Export),
    /// Restore a backup into an empty data folder
    Import(Import),
    /// Show and change settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Let programs work with your node
    Api(Api),
    /// See two nodes talk, be killed, and lose nothing
    Demo(Demo),
    /// A secured pipe, tunnel or file transfer to another machine; needs a key file and nothing else
    #[command(subcommand)]
    Link(Link),
    /// Speak a bare protocol without a node, to debug and to test other software
    #[command(subcommand)]
    Speak(Speak),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write all manual pages into a folder
    Man {
        /// The folder
        dir: Option<PathBuf>,
    },
}

/// `init`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The 24 recovery words bring your identity back if the data folder is lost. Write them on paper.

Examples:
  waypost init --name Alice
  waypost init --name Alice --advertise alice.example:7300
  waypost init --from-words words.txt      restore an identity")]
pub(crate) struct Init {
    /// The name your contacts see [default: your user name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Write the recovery words to a new file instead of printing them
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
    /// Restore the identity from the recovery words in a file (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "words_file")]
    pub(crate) from_words: Option<PathBuf>,
    /// Protect the identity with no passphrase; only where the disk itself is encrypted
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,
    #[command(flatten)]
    pub(crate) addresses: Addresses,
}

/// Where a node listens and what its card says.
#[derive(Debug, ClapArgs)]
pub(crate) struct Addresses {
    /// Where to listen for others; can be given several times [default: 0.0.0.0:7300]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// How others reach this machine, for your card; can be given several times
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Vec<SrempAddress>,
}

/// `up`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Other commands find the running node by themselves. Ctrl-C stops it; nothing is lost.
The options hold for this run; `waypost config set` keeps them.

Examples:
  waypost up
  waypost up --listen 0.0.0.0:7300 --advertise alice.example:7300
  waypost up --passphrase-file ~/.waypost-pass --json")]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) addresses: Addresses,
    /// Serve programs on this machine over HTTP too, like 127.0.0.1:7380
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<SocketAddr>,
}

/// `id`.
#[derive(Debug, ClapArgs)]
pub(crate) struct IdArgs {
    /// Change the name your contacts see
    #[arg(long, value_name = "NAME")]
    pub(crate) rename: Option<String>,
    /// Replace the transport key; your contacts learn of it by themselves
    #[arg(long)]
    pub(crate) rotate: bool,
}

/// `card`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  waypost card                   for somebody who may write, once you accept
  waypost card --invite --qr     for a friend beside you: no acceptance needed
  waypost card --png card.png    to print or send as a picture")]
pub(crate) struct CardArgs {
    /// Put in an invite: the first letter of its holder needs no acceptance; works once
    #[arg(long)]
    pub(crate) invite: bool,
    /// List the invites that nobody has used yet
    #[arg(long, conflicts_with_all = ["invite", "sremp", "qr", "png", "svg"])]
    pub(crate) invites: bool,
    /// Print the form that other SREMP software reads
    #[arg(long)]
    pub(crate) sremp: bool,
    #[command(flatten)]
    pub(crate) picture: Picture,
}

/// A QR code somewhere.
#[derive(Debug, ClapArgs)]
pub(crate) struct Picture {
    /// Show a QR code in the terminal
    #[arg(long)]
    pub(crate) qr: bool,
    /// Write the QR code to a new PNG file
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
    /// Write the QR code to a new SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// `contact`.
#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// Add somebody from a card or an invitation
    #[command(after_help = "\
Examples:
  waypost contact add 'waypost:…'
  waypost contact add --name bob - < bob.card")]
    Add {
        /// The `waypost:` link or `sremp:1?` invitation (- for standard input)
        card: String,
        /// The name it shall have here [default: the one on the card]
        #[arg(long)]
        name: Option<String>,
    },
    /// List your contacts
    List,
    /// Show all about a contact
    Show(Who),
    /// List people who wrote without an invite and wait for you
    Requests,
    /// Accept somebody who waits
    Accept(Who),
    /// Compare keys, so that nobody can stand between you
    #[command(after_help = "\
Both of you run `waypost contact verify NAME` and compare the numbers, side by side or
in a call. If they are the same, each confirms with --number and what the OTHER read out.

Examples:
  waypost contact verify bob                show the number
  waypost contact verify bob --qr           show it as a QR code too
  waypost contact verify bob --number '01234 56789 …'")]
    Verify(Verify),
    /// The key you share with a contact, for framelinks
    #[command(after_help = "\
Whoever shares a key with you can talk to you over a framelink, on a local network for example
(`waypost config set framelink.enabled true`). People who met by an invite share one already. Letters
are sealed inside as always: the key alone opens none.

Examples:
  waypost contact psk bob                            whether there is one, and where bob listens
  waypost contact psk bob --generate > bob.psk       make a new key, and print it
  waypost contact psk alice --file bob.psk           take the key that the other side made
  waypost contact psk bob --address framelink://192.168.1.7:7301
  waypost contact psk bob --remove                   share none any more")]
    Psk(PskArgs),
    /// Refuse all letters of somebody from now on
    Block(Who),
    /// Take somebody's letters again
    Unblock(Who),
    /// Change the name a contact has here
    Rename {
        #[command(flatten)]
        who: Who,
        /// The new name
        name: String,
    },
    /// Remove a contact
    Remove {
        #[command(flatten)]
        who: Who,
        /// Delete the conversation too
        #[arg(long)]
        forget: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Somebody.
#[derive(Debug, ClapArgs)]
pub(crate) struct Who {
    /// Name or id of the contact
    pub(crate) contact: String,
}

/// `contact psk`.
#[derive(Debug, ClapArgs)]
pub(crate) struct PskArgs {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Make a new key and print it: give it to the contact by a safe way
    #[arg(long, conflicts_with_all = ["file", "remove"])]
    pub(crate) generate: bool,
    /// Take the key in this file (- for standard input), as `waypost link keygen` makes it too
    #[arg(long, conflicts_with = "remove")]
    pub(crate) file: Option<PathBuf>,
    /// Share none any more
    #[arg(long)]
    pub(crate) remove: bool,
    /// Print the key
    #[arg(long)]
    pub(crate) show: bool,
    /// Where the contact listens, if its card does not say so: framelink://HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<Address>,
}

/// `contact verify`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) who: Who,
    /// The number as the other side reads it out
    #[arg(long, value_name = "DIGITS", conflicts_with = "scanned")]
    pub(crate) number: Option<String>,
    /// The text of the QR code on the other side's screen
    #[arg(long, value_name = "TEXT")]
    pub(crate) scanned: Option<String>,
    #[command(flatten)]
    pub(crate) picture: Picture,
}

/// `send`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Ends well when the recipient's node has the letter. If that takes longer than --wait, the
letter stays in the outbox and the exit code is 4. Letters are named by their id or its
beginning, as `waypost history` shows it.

Examples:
  waypost send bob 'hello'
  echo 'a long text' | waypost send bob -
  waypost send bob 'yes!' --reply-to 3f2a91bc
  waypost send bob --react 3f2a91bc 👍
  waypost send bob 'what I meant' --edit 3f2a91bc
  waypost send bob --delete 3f2a91bc")]
#[command(group = clap::ArgGroup::new("about").args(["reply_to", "react", "edit", "delete"]))]
pub(crate) struct Send {
    /// Name or id of the contact
    pub(crate) to: String,
    /// The text (- or nothing for standard input)
    #[arg(conflicts_with_all = ["react", "delete"])]
    pub(crate) text: Option<String>,
    /// Answer a letter
    #[arg(long, value_name = "LETTER")]
    pub(crate) reply_to: Option<String>,
    /// Put an emoji on a letter; '' takes it back
    #[arg(long, num_args = 2, value_names = ["LETTER", "EMOJI"])]
    pub(crate) react: Option<Vec<String>>,
    /// Change the text of your letter
    #[arg(long, value_name = "LETTER")]
    pub(crate) edit: Option<String>,
    /// Take your letter back
    #[arg(long, value_name = "LETTER")]
    pub(crate) delete: Option<String>,
    /// The letter's id (32 hex digits); sending the same id again changes nothing
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<LetterId>,
    /// How long to wait for delivery; 0 to go on when the letter is on disk
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    pub(crate) wait: u32,
}

/// `inbox`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Looking does not mark letters as read; `waypost read` does.")]
pub(crate) struct Inbox {
    /// Only letters not read yet
    #[arg(long)]
    pub(crate) unread: bool,
    /// Only letters after this number (`seq` in --json)
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<i64>,
    #[command(flatten)]
    pub(crate) list: List,
}

/// How to list letters.
#[derive(Debug, ClapArgs)]
pub(crate) struct List {
    /// At most so many letters, 1 to 500
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
    /// Show ids whole
    #[arg(long)]
    pub(crate) ids: bool,
}

/// `history`.
#[derive(Debug, ClapArgs)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Only letters before this number (`seq` in --json)
    #[arg(long, value_name = "SEQ")]
    pub(crate) before: Option<i64>,
    #[command(flatten)]
    pub(crate) list: List,
}

/// `search`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  waypost search lunch friday
  waypost search lunch --contact bob")]
pub(crate) struct Search {
    /// Words that must all be in the letter
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// Only letters of the conversation with this contact
    #[arg(long)]
    pub(crate) contact: Option<String>,
    #[command(flatten)]
    pub(crate) list: List,
}

/// `read`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The sender learns of it, unless you set `letters.read_receipts` to false.")]
pub(crate) struct Read {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Which letters [default: all]
    pub(crate) letters: Vec<String>,
}

/// `chat`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Every line you type is a letter. Lines that begin with / are commands; /help shows them.
Works with piped input too: `generate | waypost chat bob`.")]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Letters of the past to show first, 0 to 500
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=500))]
    pub(crate) last: u32,
    /// At the end, how long to wait for the delivery of your letters
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    pub(crate) wait: u32,
}

/// `trace`.
#[derive(Debug, ClapArgs)]
pub(crate) struct Trace {
    /// The letter's id, or its beginning
    pub(crate) letter: String,
}

/// `export`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The backup has its own passphrase: --backup-passphrase-file, else $WAYPOST_BACKUP_PASSPHRASE,
else a prompt.")]
pub(crate) struct Export {
    /// A new file
    pub(crate) file: PathBuf,
    /// File whose first line is the backup's passphrase
    #[arg(long, value_name = "FILE")]
    pub(crate) backup_passphrase_file: Option<PathBuf>,
}

/// `import`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Never run the old data folder and the restored one at the same time: they are one identity.")]
pub(crate) struct Import {
    /// The backup
    pub(crate) file: PathBuf,
    /// File whose first line is the backup's passphrase
    #[arg(long, value_name = "FILE")]
    pub(crate) backup_passphrase_file: Option<PathBuf>,
    /// Protect the new data folder with no passphrase
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print all settings, also those at their default
    Show,
    /// Print where the settings file is
    Path,
    /// Change one setting
    #[command(after_help = "\
A running node reads settings at its next start.

Examples:
  waypost config set letters.read_receipts false
  waypost config set sremp.listen 0.0.0.0:7300,[::]:7300
  waypost config set sremp.advertise alice.example:7300
  waypost config set api.http 127.0.0.1:7380")]
    Set {
        /// The setting, like `sremp.listen`
        key: String,
        /// Its value; several are separated by commas
        value: String,
    },
    /// Check the settings file
    Check,
}

/// `api`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
JSON-RPC 2.0, one request a line. The running node is used if there is one.

Example:
  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"node.status\"}' | waypost api --stdio")]
#[command(group = clap::ArgGroup::new("what").args(["stdio", "openrpc"]).required(true))]
pub(crate) struct Api {
    /// Answer requests on standard input with answers on standard output
    #[arg(long)]
    pub(crate) stdio: bool,
    /// Print the description of all methods as an OpenRPC document
    #[arg(long)]
    pub(crate) openrpc: bool,
}

/// `demo`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Two nodes in temporary folders talk over a proxy that records every byte. Both are killed in
the middle. Then one is off, and 500 letters wait at a relay, which is killed too; then the
direct way is blocked, and letters go by the relay. Takes about half a minute.

Fails if a letter is lost or shown twice, if one takes more than 2 seconds when the direct
way is blocked, or if a plaintext is found in the record or in a folder.")]
pub(crate) struct Demo {
    /// Letters sent in bulk
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = letters)]
    pub(crate) letters: usize,
    /// Leave the data folders
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Enough that both nodes are killed while letters are under way.
fn letters(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 60..=1_000_000) => Ok(count),
        _ => Err("a number from 60 to 1000000 is needed".into()),
    }
}
