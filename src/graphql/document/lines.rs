//! Lines and columns of a text.

use apollo_compiler::parser::SourceSpan;
use async_graphql::Pos;

/// Where the lines of a text begin.
#[derive(Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Finds the lines of a text; `\n`, `\r\n` and `\r` end one.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Self { text, starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    /// The position of a span's beginning, counted from 1, columns in characters; the beginning of the text for none.
    #[must_use]
    pub fn position(&self, span: Option<SourceSpan>) -> Pos {
        self.position_of(span.map_or(0, |span| span.offset()))
    }

    fn position_of(&self, offset: usize) -> Pos {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        Pos { line, column: column + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let lines = LineIndex::new("ab\né\r\nc\rd");
        let position = |offset| lines.position_of(offset).to_string();
        assert_eq!(position(0), "1:1");
        assert_eq!(position(1), "1:2");
        assert_eq!(position(3), "2:1");
        assert_eq!(position(5), "2:2");
        assert_eq!(position(7), "3:1");
        assert_eq!(position(9), "4:1");
        assert_eq!(position(1_000), "4:1");
    }
}
