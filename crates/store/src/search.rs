//! Finding letters by the words in them.

use crate::{Error, HistoryEntry, Store, column, history::entries};
use rusqlite::params;
use waypost_core::ContactId;

/// More words than anybody types; the rest is not looked for.
const MAX_TERMS: usize = 32;
const MAX_QUERY: usize = 1000;

impl Store {
    /// Entries whose text, as it is now, has words that begin like each of the words of `query`, newest first.
    /// Case and accents do not matter; other signs separate words.
    ///
    /// # Errors
    /// What the disk says; no query is wrong.
    pub fn search(&self, query: &str, contact: Option<ContactId>, limit: usize) -> Result<Vec<HistoryEntry>, Error> {
        let Some(terms) = match_expression(query) else {
            return Ok(Vec::new());
        };
        let Some(contact) = contact else {
            return self.entries(
                entries!(
                    "FROM letter_search s CROSS JOIN letter l ON l.seq = s.rowid CROSS JOIN person p ON p.num = l.person
                     WHERE s.letter_search MATCH ?1 ORDER BY s.rowid DESC LIMIT ?2"
                ),
                params![terms, column::of_limit(limit)],
            );
        };
        let Some(person) = self.person(contact)? else {
            return Ok(Vec::new());
        };
        self.entries(
            entries!(
                "FROM letter_search s CROSS JOIN letter l ON l.seq = s.rowid CROSS JOIN person p ON p.num = l.person
                 WHERE s.letter_search MATCH ?1 AND l.person = ?3 ORDER BY s.rowid DESC LIMIT ?2"
            ),
            params![terms, column::of_limit(limit), person],
        )
    }
}

/// The words of a person's query as an expression of FTS5: each quoted, so that no sign has a meaning in it, and
/// a prefix; none if there is no word.
fn match_expression(query: &str) -> Option<String> {
    let mut expression = String::new();
    let start: String = query.chars().take(MAX_QUERY).map(|sign| if sign == '\0' { ' ' } else { sign }).collect();
    for word in start.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).take(MAX_TERMS) {
        if !expression.is_empty() {
            expression.push(' ');
        }
        expression.push('"');
        expression.push_str(&word.replace('"', "\"\""));
        expression.push_str("\"*");
    }
    Some(expression).filter(|expression| !expression.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_every_word() {
        assert_eq!(match_expression("see  NEAR(you").as_deref(), Some("\"see\"* \"NEAR(you\"*"));
        assert_eq!(match_expression("say \"hi\" -- \u{0}").as_deref(), Some("\"say\"* \"\"\"hi\"\"\"*"));
        assert_eq!(match_expression(" *!\" "), None);
        assert_eq!(match_expression(&"x ".repeat(400)).map(|all| all.matches('x').count()), Some(32));
    }
}
