//! Tables in the terminal.

/// Rows of equal width; the columns in `right` are aligned to the right.
pub(crate) fn draw(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let mut drawn = line(&mut head.iter().copied());
    drawn += &line(&mut rules.iter().map(String::as_str));
    for row in rows {
        drawn += &line(&mut row.iter().map(String::as_str));
    }
    drawn
}

/// The cells of a row of a Markdown table, trimmed; nothing for any other line.
///
/// A bar that is part of a cell is written `\|`.
pub(crate) fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for letter in inner.chars() {
        match (letter, cells.last_mut()) {
            ('|', _) if !escaped => cells.push(String::new()),
            (_, Some(cell)) => cell.push(letter),
            (_, None) => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    Some(cells.into_iter().map(|cell| cell.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_columns_of_equal_width() {
        let rows =
            vec![vec!["fmt".into(), "ok".into(), "1.0".into()], vec!["clippy".into(), "failed".into(), "12.5".into()]];
        let drawn = draw(&["part", "result", "seconds"], &rows, &[2]);
        let expected =
            "part    result  seconds\n------  ------  -------\nfmt     ok          1.0\nclippy  failed     12.5\n";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn reads_the_cells_of_a_row() {
        assert_eq!(cells("| a | b \\| c |"), Some(vec!["a".into(), "b \\| c".into()]));
        assert_eq!(cells("no row"), None);
    }
}
