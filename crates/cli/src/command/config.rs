//! `waypost config`.

use crate::args::ConfigCommand;
use crate::context::Context;
use crate::failure::Failure;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, Value};
use waypost_core::ErrorKind;
use waypost_node::{Config, Home};

/// Shows, changes or checks settings.
pub(crate) fn run(context: &Context, command: &ConfigCommand) -> Result<(), Failure> {
    let path = context.home.config();
    let output = context.output;
    match command {
        ConfigCommand::Path => {
            let shown = path.display().to_string();
            output.result(&serde_json::json!({ "path": shown }), |_| shown.clone())
        }
        ConfigCommand::Show => {
            let config = context.config()?;
            let text = config.to_text()?;
            output.result(&config, |_| text)
        }
        ConfigCommand::Check => {
            Config::load(&path).map_err(|error| Failure::from(error).or_hint("correct it, then check again"))?;
            let shown = path.display().to_string();
            output.result(&serde_json::json!({ "valid": true, "path": shown }), |_| format!("{shown} is valid"))
        }
        ConfigCommand::Set { key, value } => {
            let (text, config) = change(&read(&path)?, key, value)?;
            context.home.create()?;
            Home::write_private(&path, text.as_bytes())?;
            let done = serde_json::to_value(&config).unwrap_or_default();
            let pointer = format!("/{}", key.replace('.', "/"));
            let now = done.pointer(&pointer).cloned().unwrap_or_default();
            output.result(&serde_json::json!({ "key": key, "value": now }), |_| format!("{key} = {now}"))?;
            output.talk("A running node reads this at its next start.");
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|error| Failure::file("read", path, &error)),
    }
}

/// Changes one key and keeps everything else as it is, with its comments. Gives the new text and what it says.
fn change(text: &str, key: &str, value: &str) -> Result<(String, Config), Failure> {
    let unknown = || {
        Failure::new(ErrorKind::NotFound, format!("there is no setting \"{key}\""))
            .or_hint("`waypost config show` prints all settings")
    };
    let (section, name) = key.split_once('.').ok_or_else(unknown)?;
    // A setting without a value, like `api.http`, is not in the text of the defaults, but is known to JSON.
    let known = serde_json::to_value(Config::default()).unwrap_or_default();
    let default = known.get(section).and_then(|section| section.get(name)).ok_or_else(unknown)?;
    let mut document: DocumentMut =
        text.parse().map_err(|error| Failure::bad_input(format!("the settings file is damaged: {error}")))?;
    let table = document.entry(section).or_insert(Item::Table(Table::new()));
    let table = table.as_table_mut().ok_or_else(|| Failure::bad_input(format!("[{section}] is not a section")))?;
    if value.is_empty() && default.is_null() {
        table.remove(name);
    } else {
        let new = read_value(default, value);
        match table.get_mut(name) {
            // Keeps a comment behind the value.
            Some(Item::Value(old)) => {
                let decor = old.decor().clone();
                *old = new;
                *old.decor_mut() = decor;
            }
            _ => drop(table.insert(name, Item::Value(new))),
        }
    }
    let text = document.to_string();
    let config = Config::parse(&text).map_err(|error| Failure::from(error).or_hint("nothing was changed"))?;
    Ok((text, config))
}

/// The value in the form of the default: a list is split at commas, numbers and truth values are read.
fn read_value(default: &serde_json::Value, text: &str) -> Value {
    let trimmed = text.trim();
    if default.is_array() && !trimmed.starts_with('[') {
        return trimmed.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Array>().into();
    }
    if default.is_string() {
        return text.into();
    }
    trimmed.parse().unwrap_or_else(|_| trimmed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_one_key_and_keeps_comments() {
        let text = "# mine\n[letters]\nread_receipts = true # always\n";
        let (text, config) = change(text, "letters.read_receipts", "false").unwrap();
        assert_eq!(text, "# mine\n[letters]\nread_receipts = false # always\n");
        assert!(!config.letters.read_receipts);
    }

    #[test]
    fn reads_lists_texts_and_settings_without_a_default() {
        let (text, config) = change("", "sremp.listen", "127.0.0.1:1, [::1]:2").unwrap();
        assert_eq!(config.sremp.listen.len(), 2);
        let (text, config) = change(&text, "profile.name", "true").unwrap();
        assert_eq!(config.profile.name, "true");
        let (text, config) = change(&text, "api.http", "127.0.0.1:7380").unwrap();
        assert!(config.api.http.is_some());
        assert!(change(&text, "api.http", "").unwrap().1.api.http.is_none());
        assert!(change(&text, "sremp.listen", "[]").unwrap().1.sremp.listen.is_empty());
    }

    #[test]
    fn refuses_what_is_unknown_or_does_not_fit() {
        assert!(change("", "letters", "1").is_err());
        assert!(change("", "letters.color", "1").is_err());
        assert!(change("", "letters.outbox_letters", "many").is_err());
        assert!(change("", "api.http", "0.0.0.0:80").is_err());
    }
}
