//! Opens a catalog that another system wrote: CSV as a stream of rows, each with its line, none of them guessed at.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, StringRecord};

use super::{shopify, woocommerce};
use crate::catalog::ProductDraft;

/// What one product, or one complaint, of a file comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A product, or more of one that came before under the same slug.
    Product {
        /// Where it begins.
        line: u64,
        /// What the file says of it.
        draft: Box<ProductDraft>,
    },
    /// Something that is not taken; the rest is.
    Refused {
        /// Where it stands.
        line: u64,
        /// Why, in words for whoever wrote the file.
        reason: String,
    },
    /// Something that is taken, but not as it was written.
    Warning {
        /// Where it stands.
        line: u64,
        /// What was done about it.
        reason: String,
    },
}

/// Whose columns a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Shopify's product export, in its long-standing or its new column names, or our own export.
    Shopify,
    /// `WooCommerce`'s product export.
    WooCommerce,
}

/// A catalog whose header was understood.
pub struct Catalog<'a> {
    /// Whose columns it has.
    pub format: Format,
    /// What is in it, read as it is asked for; several may come of one product.
    pub entries: Box<dyn Iterator<Item = Entry> + Send + 'a>,
}

/// Read a Shopify or `WooCommerce` product file of any size; nothing after the header is read before it is asked for.
///
/// # Errors
/// A sentence that says why the file cannot be read at all: empty, unreadable, or columns of neither system.
pub fn read<'a>(source: impl Read + Send + 'a) -> Result<Catalog<'a>, String> {
    let (format, rows) = Rows::open(source)?;
    let entries: Box<dyn Iterator<Item = Entry> + Send + 'a> = match format {
        Format::Shopify => Box::new(shopify::Products::new(rows)),
        Format::WooCommerce => Box::new(woocommerce::Products::new(rows)),
    };
    Ok(Catalog { format, entries })
}

/// A line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where it begins.
    pub line: u64,
    /// Why, in words for whoever wrote the file.
    pub reason: String,
}

/// Counts the bytes that pass, for a progress bar.
pub struct Counted<R> {
    source: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Counted<R> {
    /// Adds what is read of `source` to `bytes`.
    pub fn new(source: R, bytes: Arc<AtomicU64>) -> Self {
        Self { source, bytes }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A quote that never closes would swallow the file into memory; past this length a row is taken for one.
const LONGEST_ROW: usize = 4 << 20;

/// Where in a row a byte stands, by the same rules as the csv parser's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    RowStart,
    CellStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted cell: its end, or half of a doubled one.
    Closing,
}

/// Follows the quotes on the way to the csv parser, which tells neither a cell left open nor, with CRLF, the right line.
struct Watched<R> {
    source: R,
    at: At,
    line: u64,
    after_return: bool,
    /// Lines on which rows begin that the parser has not handed out yet; as many as fit its buffer.
    starts: VecDeque<u64>,
    quote_line: u64,
    row_length: usize,
    ended: bool,
}

impl<R> Watched<R> {
    fn new(source: R) -> Self {
        let starts = VecDeque::new();
        Self {
            source,
            at: At::RowStart,
            line: 1,
            after_return: false,
            starts,
            quote_line: 1,
            row_length: 0,
            ended: false,
        }
    }

    fn step(&mut self, byte: u8) {
        let before = self.at;
        self.at = match (before, byte) {
            (At::Quoted, b'"') => At::Closing,
            (At::Quoted, _) | (At::Closing | At::RowStart | At::CellStart, b'"') => At::Quoted,
            (_, b'\r' | b'\n') => At::RowStart,
            (_, b',') => At::CellStart,
            _ => At::Plain,
        };
        if before == At::RowStart && self.at != At::RowStart {
            self.starts.push_back(self.line);
            self.row_length = 0;
        }
        if self.at == At::Quoted && matches!(before, At::RowStart | At::CellStart) {
            self.quote_line = self.line;
        }
        self.row_length = if self.at == At::RowStart { 0 } else { self.row_length + 1 };
        self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_return));
        self.after_return = byte == b'\r';
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.source.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ended = read == 0;
        for &byte in buffer.iter().take(read) {
            self.step(byte);
        }
        if self.row_length > LONGEST_ROW {
            let quote = if self.at == At::Quoted {
                format!("; is the quote on line {} never closed?", self.quote_line)
            } else {
                String::new()
            };
            return Err(io::Error::other(format!("a row is longer than {} MiB{quote}", LONGEST_ROW >> 20)));
        }
        Ok(read)
    }
}

struct Header {
    names: Vec<String>,
    /// The columns in which a line break is a mistake.
    one_line: Vec<bool>,
}

/// One row of the file, with as many cells as the header.
pub(super) struct Row {
    /// The line in the file on which it begins.
    pub(super) line: u64,
    header: Arc<Header>,
    cells: StringRecord,
}

impl Row {
    /// The trimmed cell of a column, `""` when it is empty, `None` when the file has no such column.
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        let place = self.header.names.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.cells.get(place).map(str::trim)
    }

    /// The trimmed cell of a column, unless there is nothing in it.
    pub(super) fn said(&self, column: &str) -> Option<&str> {
        self.cell(column).filter(|text| !text.is_empty())
    }

    fn stray_character(&self) -> Option<String> {
        let columns = self.header.names.iter().zip(&self.header.one_line);
        columns.zip(&self.cells).find_map(|((name, &one_line), cell)| {
            let text = cell.trim();
            let stray = text.chars().find(|&c| c.is_control() && (one_line || !matches!(c, '\n' | '\r' | '\t')))?;
            Some(format!("column \"{name}\" holds the control character {}", stray.escape_unicode()))
        })
    }
}

/// The rows after the header; every flaw is told once and only a broken file ends them early.
pub(super) struct Rows<R> {
    csv: csv::Reader<Watched<io::Chain<Cursor<Vec<u8>>, R>>>,
    header: Arc<Header>,
    done: bool,
}

impl<R: Read> Rows<R> {
    /// Reads the header and tells whose it is.
    pub(super) fn open(mut source: R) -> Result<(Format, Self), String> {
        let mut start = Vec::new();
        let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
        source.by_ref().take(3).read_to_end(&mut start).map_err(unreadable)?;
        if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
            return Err("the file is UTF-16; save it as UTF-8".into());
        }
        if start == [0xEF, 0xBB, 0xBF] {
            start.clear();
        }
        let watched = Watched::new(Cursor::new(start).chain(source));
        let mut csv =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(watched);
        let mut first = ByteRecord::new();
        if !csv.read_byte_record(&mut first).map_err(|error| format!("the file cannot be read: {}", cause(error)))? {
            return Err("the file is empty".into());
        }
        csv.get_mut().starts.pop_front();
        let (format, header) = understood(first)?;
        Ok((format, Self { csv, header: Arc::new(header), done: false }))
    }

    /// How many columns of a numbered name there are: `{}` stands for the number, from 1.
    pub(super) fn numbered(&self, name: &str) -> usize {
        let has = |number: &usize| {
            let name = name.replace("{}", &number.to_string());
            self.header.names.iter().any(|column| column.eq_ignore_ascii_case(&name))
        };
        (1..=self.header.names.len()).take_while(has).count()
    }

    fn checked(&mut self, line: u64, bytes: ByteRecord) -> Result<Row, String> {
        let watched = self.csv.get_ref();
        if watched.ended && watched.at == At::Quoted {
            return Err(format!("the file ends inside a quoted cell that began on line {}", watched.quote_line));
        }
        let (cells, columns) = (bytes.len(), self.header.names.len());
        if cells != columns {
            let many = if cells < columns { "few" } else { "many" };
            return Err(format!("the row has too {many} cells: {cells}, where the header names {columns}"));
        }
        let cells = StringRecord::from_byte_record(bytes).map_err(|error| {
            let name = self.header.names.get(error.utf8_error().field()).map_or("", String::as_str);
            format!("column \"{name}\" on line {line} is not UTF-8")
        })?;
        let row = Row { line, header: Arc::clone(&self.header), cells };
        row.stray_character().map_or(Ok(row), Err)
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let mut bytes = ByteRecord::new();
            let found = self.csv.read_byte_record(&mut bytes);
            let watched = self.csv.get_mut();
            let line = watched.starts.pop_front().unwrap_or(watched.line);
            match found {
                Ok(true) if bytes.iter().all(|cell| cell.trim_ascii().is_empty()) && watched.at != At::Quoted => {}
                Ok(true) => {
                    return Some(self.checked(line, bytes).map_err(|reason| Flaw { line, reason }));
                }
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    let reason = format!("the file cannot be read further: {}", cause(error));
                    return Some(Err(Flaw { line, reason }));
                }
            }
        }
        None
    }
}

fn cause(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn understood(first: ByteRecord) -> Result<(Format, Header), String> {
    let first = StringRecord::from_byte_record(first).map_err(|_| "the first line is not UTF-8")?;
    let mut names: Vec<String> = first.iter().map(|name| name.trim().to_owned()).collect();
    let has = |column: &str| names.iter().any(|name| name.eq_ignore_ascii_case(column));
    let (format, one_line) = if has("Handle") {
        (Format::Shopify, shopify::ONE_LINE)
    } else if has("URL handle") {
        names = names.into_iter().map(shopify::lasting_name).collect();
        (Format::Shopify, shopify::ONE_LINE)
    } else if has("Type") && has("Name") && (has("SKU") || has("ID")) {
        (Format::WooCommerce, woocommerce::ONE_LINE)
    } else {
        let shown = names.iter().take(4).map(|name| name.chars().take(40).collect::<String>());
        let shown = shown.collect::<Vec<_>>().join("\", \"");
        return Err(format!(
            "the file's first columns are \"{shown}\"; a Shopify product file has \"Handle\", \
             a WooCommerce one has \"Type\", \"SKU\" and \"Name\""
        ));
    };
    // Options and attributes are numbered; how many there are is the file's choice.
    let in_one = |name: &String| {
        let numbered = |word: &str| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        numbered("Option")
            || numbered("Attribute ")
            || one_line.split('|').any(|column| name.eq_ignore_ascii_case(column))
    };
    let one_line = names.iter().map(in_one).collect();
    Ok((format, Header { names, one_line }))
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;
