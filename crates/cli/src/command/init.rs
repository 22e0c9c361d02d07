//! `waypost init`.

use crate::args::Init;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, clean_line};
use crate::secret::COST;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use waypost_core::{ErrorKind, Wall};
use waypost_node::Config;
use waypost_node::setup::{self, Made, NewIdentity};
use zeroize::Zeroizing;

/// Makes an identity, or restores one from its words.
pub(crate) fn run(context: &Context, args: &Init) -> Result<(), Failure> {
    let folder = context.home.folder().display().to_string();
    if context.home.is_initialised() {
        let message = format!("there is an identity in {folder} already");
        return Err(Failure::new(ErrorKind::Conflict, message).or_hint("choose another folder with --home DIR"));
    }
    let words = args.from_words.as_deref().map(read_words).transpose()?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => ask_name()?,
    };
    let mut config = Config::default();
    if !args.addresses.listen.is_empty() {
        config.sremp.listen.clone_from(&args.addresses.listen);
    }
    config.sremp.advertise.clone_from(&args.addresses.advertise);
    let passphrase = context.secrets.fresh(args.no_passphrase)?;
    // Before anything is made: words that cannot be written would be lost.
    let words_file = args.words_file.as_deref().map(create_private).transpose()?;
    let new = NewIdentity {
        name: &name,
        passphrase,
        words: words.as_deref().map(String::as_str),
        config,
        now: now(),
        cost: COST,
    };
    let made = setup::init(&context.home, new, &mut rand::rng())?;
    if let (Some(mut file), Some(path)) = (words_file, &args.words_file) {
        writeln!(file, "{}", made.words.as_str())
            .and_then(|()| file.sync_all())
            .map_err(|error| Failure::file("write", path, &error))?;
    }
    let shown = words.is_none() && args.words_file.is_none();
    report(context.output, &folder, &made, shown)
}

fn report(output: Output, folder: &str, made: &Made, show_words: bool) -> Result<(), Failure> {
    if output.is_json() {
        let words = show_words.then_some(made.words.as_str());
        return output.json(&serde_json::json!({ "contact": made.contact, "home": folder, "words": words }));
    }
    output.text(&format!("Your id:      {}\nData folder:  {folder}", made.contact))?;
    if show_words {
        let words: Vec<&str> = made.words.split_whitespace().collect();
        let mut text = String::from("\nRecovery words:\n");
        for (row, words) in words.chunks(6).enumerate() {
            text.push_str(&format!("  {:>2}  {}\n", 6 * row + 1, words.join(" ")));
        }
        output.text(&text)?;
        output.talk("Write the words on paper and keep them. They alone bring your identity back.\n");
    }
    output.talk("Next: `waypost up` runs your node; `waypost card --invite` prints what a friend needs.");
    Ok(())
}

fn ask_name() -> Result<String, Failure> {
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let shown = user.as_deref().map(|user| format!(" [{}]", clean_line(user))).unwrap_or_default();
        let _ = write!(io::stderr(), "The name your contacts see{shown}: ");
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| Failure::new(ErrorKind::Environment, format!("cannot read from the terminal: {error}")))?;
        if !line.trim().is_empty() {
            return Ok(line.trim().to_owned());
        }
    }
    user.ok_or_else(|| Failure::bad_input("a name is needed").or_hint("give it with --name NAME"))
}

/// Words in any arrangement of lines, numbers before them or not.
fn read_words(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map(Zeroizing::new).map_err(|error| Failure::file("read", path, &error))?;
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .collect();
    Ok(Zeroizing::new(words.join(" ")))
}

fn create_private(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::file("create", path, &error))
}

pub(super) fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
