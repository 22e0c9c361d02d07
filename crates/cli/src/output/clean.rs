//! Makes text of others harmless for a terminal: it can neither move the cursor, change colors, turn
//! the reading direction of what follows, nor look like a line of ours.

use std::fmt::Write;

/// One line, like a name: control characters go, white space becomes single blanks.
pub(crate) fn clean_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }));
    }
    line
}

/// A text of several lines; every line after the first begins with `indent`.
pub(crate) fn clean_text(text: &str, indent: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n");
    for (number, line) in text.trim_end().split(['\n', '\u{2028}', '\u{2029}']).enumerate() {
        if number > 0 {
            clean.push('\n');
            clean.push_str(indent);
        }
        for c in line.chars() {
            match c {
                '\t' => clean.push_str("    "),
                c if is_harmful(c) => clean.push('\u{fffd}'),
                c => clean.push(c),
            }
        }
    }
    clean
}

/// JSON in which harmful characters are escaped; it says the same.
pub(crate) fn clean_json(json: &str) -> String {
    if !json.chars().any(is_harmful) {
        return json.to_owned();
    }
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Control characters, what turns the reading direction, and what cannot be seen at all. The joiners that
/// scripts and emoji need (U+200C, U+200D) and variation selectors stay.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{00ad}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_control_characters_and_direction_marks_out_of_names() {
        assert_eq!(clean_line("bob\x1b[31m\n\u{202e}eve\u{9b}2J"), "bob\u{fffd}[31m \u{fffd}eve\u{fffd}2J");
        assert_eq!(clean_line("  Zoë \u{1f469}\u{200d}\u{1f680} "), "Zoë \u{1f469}\u{200d}\u{1f680}");
    }

    #[test]
    fn no_line_of_a_text_begins_where_ours_do() {
        assert_eq!(clean_text("a\r\nb\u{2028}c\rd\te\n\n", "  "), "a\n  b\n  c\u{fffd}d    e");
    }

    #[test]
    fn json_says_the_same_without_harmful_characters() {
        let value = serde_json::json!({ "name": "a\u{202e}b\u{9b}c\u{e0041}\u{7f}" });
        let clean = clean_json(&value.to_string());
        assert!(clean.is_ascii());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), value);
    }
}
