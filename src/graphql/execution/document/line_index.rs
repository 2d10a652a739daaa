//! Line and column numbers of a text.

use apollo_compiler::parser::SourceSpan;
use async_graphql::Pos;

/// Start offsets of the lines of a text.
#[derive(Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Indexes the lines of a text; `
    /// `, `\r
    /// ` and `\r` end a line.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let line_ends = bytes.iter().enumerate().filter(|(index, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(index + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { text, line_starts: std::iter::once(0).chain(line_ends.map(|(index, _)| index + 1)).collect() }
    }

    /// Returns the position of a span's start, from 1, columns in characters; the start of the text for `None`.
    #[must_use]
    pub fn position_of_span(&self, span: Option<SourceSpan>) -> Pos {
        self.position_of_offset(span.map_or(0, |span| span.offset()))
    }

    fn position_of_offset(&self, offset: usize) -> Pos {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..offset).map_or(0, |prefix| prefix.chars().count());
        Pos { line, column: column + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let lines = LineIndex::new("ab\né\r\nc\rd");
        let position = |offset| lines.position_of_offset(offset).to_string();
        assert_eq!(position(0), "1:1");
        assert_eq!(position(1), "1:2");
        assert_eq!(position(3), "2:1");
        assert_eq!(position(5), "2:2");
        assert_eq!(position(7), "3:1");
        assert_eq!(position(9), "4:1");
        assert_eq!(position(1_000), "4:1");
    }
}
