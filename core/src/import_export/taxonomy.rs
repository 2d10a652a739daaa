//! Reader of category trees with one path per line, like Google's taxonomy: `3237 - Animals > Live Animals`.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read},
};

use super::{
    catalog_entry::RowError,
    csv_fields::{format_repair_note, repair_windows_1252},
};

/// A category of a taxonomy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxonomyLine {
    /// The line.
    pub line: u64,
    /// The names from the root to the category; never empty.
    pub path: Vec<String>,
    /// The number of the category in the file.
    pub external_id: Option<u64>,
    /// The correction made while reading, if any.
    pub repair_note: Option<String>,
}

const MAX_LINE_BYTES: u64 = 64 << 10;
const MAX_NAME_LENGTH: usize = 200;

/// Reads a taxonomy line by line. Blank lines and lines beginning with `#` are skipped. The caller checks for missing
/// parents and duplicate paths.
pub fn read_taxonomy<R: Read>(source: R) -> TaxonomyLines<R> {
    TaxonomyLines { source: BufReader::new(source), line: 0, is_done: false }
}

/// A lazy iterator over the lines of a taxonomy.
pub struct TaxonomyLines<R> {
    source: BufReader<R>,
    line: u64,
    is_done: bool,
}

impl<R: Read> TaxonomyLines<R> {
    /// Reads the next line, or returns the reason for its rejection. An overlong line is skipped without buffering it.
    fn read_raw_line(&mut self) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let mut bytes = Vec::new();
        if self.source.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes.len() as u64 == MAX_LINE_BYTES && !bytes.ends_with(b"\n") {
            while !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.clear();
                self.source.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
            }
            return Ok(Some(Err(format!("the line is longer than {} KiB", MAX_LINE_BYTES >> 10))));
        }
        Ok(Some(Ok(bytes)))
    }
}

impl<R: Read> Iterator for TaxonomyLines<R> {
    type Item = Result<TaxonomyLine, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            self.line += 1;
            let line = self.line;
            let parsed = match self.read_raw_line() {
                Ok(Some(raw)) => raw.and_then(|bytes| parse_line(line, &bytes)),
                Ok(None) => {
                    self.is_done = true;
                    return None;
                }
                Err(error) => {
                    self.is_done = true;
                    Err(format!("the file cannot be read further: {error}"))
                }
            };
            match parsed {
                Ok(Some(parsed_line)) => return Some(Ok(parsed_line)),
                Ok(None) => {}
                Err(reason) => return Some(Err(RowError { line, reason })),
            }
        }
        None
    }
}

fn parse_line(line: u64, bytes: &[u8]) -> Result<Option<TaxonomyLine>, String> {
    let text = str::from_utf8(bytes).map_err(|_| format!("line {line} is not UTF-8"))?;
    let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
    // Some programs pad files with null bytes.
    let text = text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace()).trim();
    let (text, repair) = match repair_windows_1252(text) {
        Some((text, first)) => (Cow::from(text), Some(format_repair_note("the line", first))),
        None => (Cow::from(text), None),
    };
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if let Some(control_character) = text.chars().find(|c| c.is_control()) {
        return Err(format!("the line contains the control character {}", control_character.escape_unicode()));
    }
    let (external_id, names) = match text.split_once(" - ") {
        Some((external_id, names)) if external_id.bytes().all(|b| b.is_ascii_digit()) => {
            let external_id = external_id.parse().map_err(|_| format!("the number \"{external_id}\" is too large"))?;
            (Some(external_id), names)
        }
        _ => (None, text.as_ref()),
    };
    let path: Vec<String> = names.split('>').map(|name| name.trim().to_owned()).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("a name is missing in \"{}\"", names.chars().take(MAX_NAME_LENGTH).collect::<String>()));
    }
    if let Some(name) = path.iter().find(|name| name.chars().count() > MAX_NAME_LENGTH) {
        let preview: String = name.chars().take(40).collect();
        return Err(format!("the name \"{preview}...\" is longer than {MAX_NAME_LENGTH} characters"));
    }
    Ok(Some(TaxonomyLine { line, path, external_id, repair_note: repair }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect_lines(text: &[u8]) -> Vec<Result<TaxonomyLine, RowError>> {
        read_taxonomy(text).collect()
    }

    #[test]
    fn line_is_parsed_into_id_and_path() {
        let parsed = collect_lines(b"\xEF\xBB\xBF# version\r\n\r\n3 - Pets > Cat - Toys\r\nHome\n");
        let line = |line, path: &[&str], external_id| {
            Ok(TaxonomyLine {
                line,
                path: path.iter().map(ToString::to_string).collect(),
                external_id,
                repair_note: None,
            })
        };
        assert_eq!(parsed, [line(3, &["Pets", "Cat - Toys"], Some(3)), line(4, &["Home"], None)]);
    }

    #[test]
    fn trailing_null_bytes_are_ignored_and_c1_characters_are_repaired() {
        let parsed = collect_lines(b"Caf\xC2\x92s\nHome\n\0\0\0\n\0\0");
        let paths: Vec<_> =
            parsed.iter().flatten().map(|line| (line.path.join("/"), line.repair_note.is_some())).collect();
        assert_eq!(paths, [("Caf’s".to_owned(), true), ("Home".to_owned(), false)]);
        assert_eq!(parsed.len(), 2);
    }

    #[test]
    fn invalid_line_is_rejected_and_the_next_is_read() {
        let long_lines = format!("{}\n{}\n", "x".repeat(201), "y".repeat(200_000));
        let text = [b"A > > B\nA\0B\nA\xFF\n99999999999999999999 - A\n", long_lines.as_bytes(), b"Home"].concat();
        let parsed = collect_lines(&text);
        let rejected_lines: Vec<u64> =
            parsed.iter().filter_map(|line| line.as_ref().err().map(|error| error.line)).collect();
        assert_eq!(rejected_lines, [1, 2, 3, 4, 5, 6]);
        assert!(matches!(parsed.last(), Some(Ok(TaxonomyLine { line: 7, .. }))), "{parsed:?}");
    }
}
