//! Running other programs.

use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// Runs it with our own terminal; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let name = shown(command);
    Ok(command.status().with_context(|| format!("cannot start {name}"))?.success())
}

/// Runs it with our own terminal and its standard output sent to our standard error, so that progress
/// never mixes with data; fails if it fails.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let name = shown(command);
    eprintln!("      {name}");
    let status = command.stdout(std::io::stderr()).status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// What it printed on standard output; fails if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = shown(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no text"))
}

/// Whether it can be started and succeeds; nothing is shown.
pub(crate) fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Gives each line that it prints to `look`, and shows those for which `look` says yes.
pub(crate) fn watched(mut command: Command, mut look: impl FnMut(&str) -> bool) -> Result<ExitStatus> {
    let name = shown(&command);
    let (reader, writer) = std::io::pipe()?;
    let mut child =
        command.stdout(writer.try_clone()?).stderr(writer).spawn().with_context(|| format!("cannot start {name}"))?;
    // The command holds the pipe's other end: with it gone, the end of the program is the end of the lines.
    drop(command);
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if look(&line) {
            println!("{line}");
        }
    }
    Ok(child.wait()?)
}

/// How a program ended that we did not show, and what it said.
pub(crate) struct Quiet {
    /// Whether it succeeded; nothing if it was stopped because the time was over.
    pub(crate) success: Option<bool>,
    /// What it wrote to standard error.
    pub(crate) said: String,
}

/// Runs it without showing anything, for at most `limit`.
pub(crate) fn quiet(command: &mut Command, limit: Duration) -> Result<Quiet> {
    let name = shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut stderr = child.stderr.take().context("a pipe that was asked for is not there")?;
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        // What could be read until the pipe broke is all there is to show.
        let _ = stderr.read_to_end(&mut said);
        said
    });
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if waited >= limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::park_timeout(step);
        waited += step;
    };
    let said = reader.join().unwrap_or_default();
    Ok(Quiet { success: status.map(|status| status.success()), said: String::from_utf8_lossy(&said).into_owned() })
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
