//! `waypost completions` and `waypost man`.

use crate::args::Args;
use crate::failure::Failure;
use crate::output::Output;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// Prints the completions of a shell.
pub(crate) fn completions(output: Output, shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "waypost", &mut text);
    output.text(&String::from_utf8_lossy(&text))
}

/// Prints the main manual page, or writes one a command into a folder.
pub(crate) fn man(output: Output, folder: Option<&Path>) -> Result<(), Failure> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        clap_mangen::generate_to(Args::command(), folder).map_err(|error| Failure::file("write to", folder, &error))?;
        output.talk(&format!("manual pages are in {}", folder.display()));
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Args::command())
        .render(&mut page)
        .map_err(|error| Failure::new(waypost_core::ErrorKind::Internal, error.to_string()))?;
    output.text(&String::from_utf8_lossy(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_all_arguments_holds_together() {
        Args::command().debug_assert();
    }
}
