//! What a typed line means.

use waypost_core::{Body, LetterId};

/// The commands of a chat.
pub(super) const HELP: &str = "\
/reply N TEXT   answer letter #N
/react N EMOJI  put an emoji on letter #N (without one: take yours back)
/edit N TEXT    change your letter #N
/delete N       take your letter #N back
/quit           end
//TEXT          a letter that begins with /";

/// One typed line.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Nothing,
    Letter(Body),
    Help,
    Quit,
}

impl Line {
    /// Reads a line; `shown` are the letters that have numbers, from 1.
    pub(super) fn parse(line: &str, shown: &[LetterId]) -> Result<Self, String> {
        let line = line.trim_end();
        let Some(command) = line.strip_prefix('/') else { return Ok(Self::text(line)) };
        if command.starts_with('/') {
            return Ok(Self::text(command));
        }
        let (name, rest) = split(command);
        let (number, text) = split(rest);
        let to = || letter(number, shown);
        let text = || match text {
            "" => Err(format!("/{name} needs a number and a text; /help shows the commands")),
            text => Ok(text.to_owned()),
        };
        match name {
            "help" => Ok(Self::Help),
            "quit" | "q" => Ok(Self::Quit),
            "reply" => Ok(Self::Letter(Body::Reply { to: to()?, text: text()? })),
            "edit" => Ok(Self::Letter(Body::Edit { to: to()?, text: text()? })),
            "react" => Ok(Self::Letter(Body::Reaction { to: to()?, emoji: text().unwrap_or_default() })),
            "delete" => Ok(Self::Letter(Body::Delete { to: to()? })),
            _ => Err(format!("there is no command /{name}; /help shows them, // begins a letter with /")),
        }
    }

    fn text(text: &str) -> Self {
        if text.is_empty() { Self::Nothing } else { Self::Letter(Body::Text { text: text.to_owned() }) }
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}

fn letter(number: &str, shown: &[LetterId]) -> Result<LetterId, String> {
    let index = number.trim_start_matches('#').parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| shown.get(index)).copied().ok_or_else(|| format!("there is no letter #{number} here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: LetterId = LetterId::from_bytes([1; 16]);

    fn parse(line: &str) -> Result<Line, String> {
        Line::parse(line, &[FIRST])
    }

    #[test]
    fn a_line_is_a_letter() {
        assert_eq!(parse("hello /you "), Ok(Line::Letter(Body::Text { text: "hello /you".into() })));
        assert_eq!(parse("//etc"), Ok(Line::Letter(Body::Text { text: "/etc".into() })));
        assert_eq!(parse("  "), Ok(Line::Nothing));
    }

    #[test]
    fn commands_name_letters_by_their_number() {
        assert_eq!(parse("/reply #1 yes  sir"), Ok(Line::Letter(Body::Reply { to: FIRST, text: "yes  sir".into() })));
        assert_eq!(parse("/react 1"), Ok(Line::Letter(Body::Reaction { to: FIRST, emoji: String::new() })));
        assert_eq!(parse("/delete 1"), Ok(Line::Letter(Body::Delete { to: FIRST })));
        assert_eq!(parse("/quit"), Ok(Line::Quit));
    }

    #[test]
    fn what_is_not_understood_is_not_sent() {
        for line in ["/reply 1", "/reply 2 x", "/edit 0 x", "/delete", "/nothing", "/"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
