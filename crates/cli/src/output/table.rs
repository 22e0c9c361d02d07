//! Columns that line up.

use unicode_width::UnicodeWidthStr;

/// Rows of cleaned text, the columns as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(|head| head.to_uppercase()).to_vec()] }
    }

    /// A table of names and values, without headings.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_up_wide_characters() {
        let mut table = Table::new(["name", "id"]);
        table.row(["日本".into(), "1".into()]);
        table.row(["bob".into(), "22".into()]);
        assert_eq!(table.text(), "NAME  ID\n日本  1\nbob   22\n");
    }
}
