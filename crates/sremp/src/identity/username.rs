//! What a name may be.

use crate::Error;
use unicode_normalization::is_nfc;

/// Longest name in characters (scalar values). SREMP 3.1.1.
const MAX_CHARS: usize = 40;

/// Checks a name: 1 to 40 scalar values, in NFC, without controls, without marks that turn or break
/// lines, without white space at either end. SREMP 3.1.1, profile SR-3.1.1.
///
/// # Errors
/// Malformed.
pub fn check_username(name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_CHARS).contains(&name.chars().take(MAX_CHARS + 1).count());
    let padded = name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace);
    if !fits || padded || name.chars().any(|c| c.is_control() || misleads(c)) || !is_nfc(name) {
        return Err(Error::Malformed("username"));
    }
    Ok(())
}

/// Marks that make a name look like another one: writing direction and line breaks.
fn misleads(c: char) -> bool {
    let direction = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    direction || ('\u{2028}'..='\u{202e}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR-3.1.1
    #[test]
    fn takes_names_of_one_to_forty_characters() {
        for name in ["A", "Ada Lovelace", "\u{1f469}\u{200d}\u{1f680}", &"\u{e9}".repeat(40)] {
            assert_eq!(check_username(name), Ok(()), "{name:?}");
        }
    }

    /// SR-3.1.1
    #[test]
    fn refuses_names_that_mislead() {
        let ends = [" a", "a\u{a0}", "a\u{3000}"];
        let inside = ["a\0b", "a\nb", "a\u{85}b", "a\u{61c}b", "a\u{200e}b", "a\u{200f}b", "a\u{2028}b", "a\u{2029}b"];
        let turned = ["a\u{202a}b", "a\u{202e}b", "a\u{2066}b", "a\u{2069}b", "e\u{301}", ""];
        for name in ends.into_iter().chain(inside).chain(turned) {
            assert!(check_username(name).is_err(), "{name:?}");
        }
        assert!(check_username(&"a".repeat(41)).is_err());
    }
}
