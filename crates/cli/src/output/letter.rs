//! A letter as one entry of a list.

use super::{Output, clean_line, clean_text, day_and_time};
use std::fmt::Write;
use waypost_core::{Body, LetterId, Protection};
use waypost_node::method::Entry;

/// The beginning of a letter's id, enough to name it in a command.
fn short(id: &LetterId) -> String {
    id.to_string().chars().take(8).collect()
}

/// Shows a letter as a line, or several if its text has several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LetterLine {
    /// For colors.
    pub(crate) output: Output,
    /// Show ids whole.
    pub(crate) whole_ids: bool,
    /// Columns for the name, at least.
    pub(crate) name_width: usize,
}

impl LetterLine {
    pub(crate) fn text(self, entry: &Entry) -> String {
        let id = if self.whole_ids { entry.id.to_string() } else { short(&entry.id) };
        let out = entry.direction == "out";
        let name = if out { "me".to_owned() } else { clean_line(&entry.name) };
        let padding = " ".repeat(self.name_width.saturating_sub(unicode_width::UnicodeWidthStr::width(name.as_str())));
        let head = format!("{}  {id}  ", day_and_time(entry.sent));
        let indent = " ".repeat(head.len() + self.name_width + 2);
        let body = body_text(entry, &indent);
        let name = if out { self.output.dim(&name) } else { self.output.bold(&name) };
        let mut text = format!("{}{name}{padding}  {body}", self.output.dim(&head));
        for mark in self.marks(entry) {
            let _ = write!(text, "  {mark}");
        }
        text
    }

    /// What stands behind the text: reactions, changes, how far it got, and every protection it lacks.
    fn marks(self, entry: &Entry) -> Vec<String> {
        let mut marks = Vec::new();
        if entry.edited.is_some() && !entry.deleted {
            marks.push(self.output.dim("(edited)"));
        }
        for reaction in &entry.reactions {
            marks.push(format!("[{}{}]", clean_line(&reaction.emoji), if reaction.own { " me" } else { "" }));
        }
        if entry.direction == "out" {
            marks.push(match entry.state.as_str() {
                "failed" => {
                    let reason = entry.reason.as_deref().unwrap_or("unknown reason");
                    self.output.alarm(&format!("failed: {}", clean_line(reason)))
                }
                state => self.output.dim(&format!("({state})")),
            });
        } else if entry.state != "read" {
            marks.push(self.output.bold("(new)"));
        }
        if entry.direction == "in" || !matches!(entry.state.as_str(), "queued" | "failed") {
            marks.extend(lacks(entry.protection).into_iter().map(|lack| self.output.alarm(lack)));
        }
        marks
    }
}

/// The protections a letter did not have.
fn lacks(protection: Protection) -> Vec<&'static str> {
    if !protection.end_to_end {
        return vec!["[NOT END-TO-END ENCRYPTED]"];
    }
    let mut lacks = Vec::new();
    if !protection.forward_secret {
        lacks.push("[not forward secret]");
    }
    if !protection.post_quantum {
        lacks.push("[not post-quantum]");
    }
    lacks
}

fn body_text(entry: &Entry, indent: &str) -> String {
    if entry.deleted {
        return "(taken back)".to_owned();
    }
    if let (Some(text), Body::Text { .. }) = (&entry.edited, &entry.body) {
        return clean_text(text, indent);
    }
    match &entry.body {
        Body::Text { text } => clean_text(text, indent),
        Body::Reply { to, text } => {
            let text = entry.edited.as_ref().unwrap_or(text);
            format!("(on {}) {}", short(to), clean_text(text, indent))
        }
        Body::Reaction { to, emoji } => format!("reacts to {} with {}", short(to), clean_line(emoji)),
        Body::Edit { to, text } => format!("changes {} to {}", short(to), clean_text(text, indent)),
        Body::Delete { to } => format!("takes back {}", short(to)),
        Body::Profile { name, .. } => format!("is now known as {}", clean_line(name)),
        Body::File { name, size, .. } => format!("file {} ({size} bytes)", clean_line(name)),
        Body::Unknown { name, .. } => {
            format!("(a \"{}\" letter, which this version cannot show)", clean_line(name))
        }
        other => format!("({})", clean_line(other.kind())),
    }
}
