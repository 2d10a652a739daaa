//! Reads a category tree written one path a line, as Google publishes its own: `3237 - Animals > Live Animals`.

use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read},
};

use super::{
    cell::{repair_note, repaired},
    source::Flaw,
};

/// One category, by the names on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub line: u64,
    /// From the root of the tree to the category; never empty.
    pub path: Vec<String>,
    /// The list's own number for it.
    pub number: Option<u64>,
    /// What of it was taken otherwise than it is written.
    pub repair: Option<String>,
}

const LONGEST_LINE: u64 = 64 << 10;
const LONGEST_NAME: usize = 200;

/// Read a tree line by line. Blank lines and those beginning with `#` are passed over; whether a parent is in the tree
/// or a path comes twice is for whoever knows the tree.
pub fn read<R: Read>(source: R) -> Lines<R> {
    Lines { source: BufReader::new(source), line: 0, done: false }
}

/// The lines of a tree, as they are asked for.
pub struct Lines<R> {
    source: BufReader<R>,
    line: u64,
    done: bool,
}

impl<R: Read> Lines<R> {
    /// The next line without its end, or a reason; a line too long is passed over without keeping it.
    fn raw(&mut self) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let mut bytes = Vec::new();
        if self.source.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes.len() as u64 == LONGEST_LINE && !bytes.ends_with(b"\n") {
            while !bytes.is_empty() && !bytes.ends_with(b"\n") {
                bytes.clear();
                self.source.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
            }
            return Ok(Some(Err(format!("the line is longer than {} KiB", LONGEST_LINE >> 10))));
        }
        Ok(Some(Ok(bytes)))
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<Line, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            self.line += 1;
            let line = self.line;
            let parsed = match self.raw() {
                Ok(Some(raw)) => raw.and_then(|bytes| parse(line, &bytes)),
                Ok(None) => {
                    self.done = true;
                    return None;
                }
                Err(error) => {
                    self.done = true;
                    Err(format!("the file cannot be read further: {error}"))
                }
            };
            match parsed {
                Ok(Some(found)) => return Some(Ok(found)),
                Ok(None) => {}
                Err(reason) => return Some(Err(Flaw { line, reason })),
            }
        }
        None
    }
}

fn parse(line: u64, bytes: &[u8]) -> Result<Option<Line>, String> {
    let text = str::from_utf8(bytes).map_err(|_| format!("line {line} is not UTF-8"))?;
    let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
    // Some programs fill a file up with null bytes.
    let text = text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace()).trim();
    let (text, repair) = match repaired(text) {
        Some((text, first)) => (Cow::from(text), Some(repair_note("the line", first))),
        None => (Cow::from(text), None),
    };
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if let Some(stray) = text.chars().find(|c| c.is_control()) {
        return Err(format!("the line holds the control character {}", stray.escape_unicode()));
    }
    let (number, names) = match text.split_once(" - ") {
        Some((number, names)) if number.bytes().all(|b| b.is_ascii_digit()) => {
            let number = number.parse().map_err(|_| format!("the number \"{number}\" is too large"))?;
            (Some(number), names)
        }
        _ => (None, text.as_ref()),
    };
    let path: Vec<String> = names.split('>').map(|name| name.trim().to_owned()).collect();
    if path.iter().any(String::is_empty) {
        return Err(format!("a name is missing in \"{}\"", names.chars().take(LONGEST_NAME).collect::<String>()));
    }
    if let Some(name) = path.iter().find(|name| name.chars().count() > LONGEST_NAME) {
        let shown: String = name.chars().take(40).collect();
        return Err(format!("the name \"{shown}...\" is longer than {LONGEST_NAME} characters"));
    }
    Ok(Some(Line { line, path, number, repair }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Result<Line, Flaw>> {
        read(text).collect()
    }

    #[test]
    fn a_line_is_a_number_and_a_path() {
        let found = all(b"\xEF\xBB\xBF# version\r\n\r\n3 - Pets > Cat - Toys\r\nHome\n");
        let line = |line, path: &[&str], number| {
            Ok(Line { line, path: path.iter().map(ToString::to_string).collect(), number, repair: None })
        };
        assert_eq!(found, [line(3, &["Pets", "Cat - Toys"], Some(3)), line(4, &["Home"], None)]);
    }

    #[test]
    fn null_bytes_at_the_end_are_no_lines_and_c1_characters_are_repaired() {
        let found = all(b"Caf\xC2\x92s\nHome\n\0\0\0\n\0\0");
        let paths: Vec<_> = found.iter().flatten().map(|line| (line.path.join("/"), line.repair.is_some())).collect();
        assert_eq!(paths, [("Caf’s".to_owned(), true), ("Home".to_owned(), false)]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_bad_line_is_refused_and_the_next_is_read() {
        let long = format!("{}\n{}\n", "x".repeat(201), "y".repeat(200_000));
        let text = [b"A > > B\nA\0B\nA\xFF\n99999999999999999999 - A\n", long.as_bytes(), b"Home"].concat();
        let found = all(&text);
        let refused: Vec<u64> = found.iter().filter_map(|line| line.as_ref().err().map(|flaw| flaw.line)).collect();
        assert_eq!(refused, [1, 2, 3, 4, 5, 6]);
        assert!(matches!(found.last(), Some(Ok(Line { line: 7, .. }))), "{found:?}");
    }
}
