//! Opens a catalog that another system wrote: CSV as a stream of rows, each with its line, none of them guessed at.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use chrono_tz::Tz;
use csv::{ByteRecord, StringRecord};

use super::{
    cell::{repair_note, repaired},
    shopify, woocommerce,
};
use crate::catalog::ProductDraft;

mod watched;

pub use watched::Counted;
use watched::{At, Watched};

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

/// Read a Shopify or `WooCommerce` product file of any size; nothing after its start is read before it is asked for.
/// Days and times of day in it are of `zone` where they name none.
///
/// # Errors
/// A sentence that says why the file cannot be read at all: empty, unreadable, or columns of neither system.
pub fn read<'a>(source: impl Read + Send + 'a, zone: Tz) -> Result<Catalog<'a>, String> {
    let (format, rows) = Rows::open(source, zone)?;
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

struct Header {
    names: Vec<String>,
    /// The columns in which a line break is a mistake.
    one_line: Vec<bool>,
    zone: Tz,
}

/// One row of the file, with as many cells as the header.
pub(super) struct Row {
    /// The line in the file on which it begins.
    pub(super) line: u64,
    /// What of it was taken otherwise than it is written.
    pub(super) repairs: Vec<String>,
    header: Arc<Header>,
    cells: StringRecord,
}

/// A row that cannot be taken, as far as it can be read, and why.
pub(super) struct RefusedRow {
    pub(super) row: Row,
    pub(super) reason: String,
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

    /// The time zone of the days in the file.
    pub(super) fn zone(&self) -> Tz {
        self.header.zone
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
    pub(super) fn open(mut source: R, zone: Tz) -> Result<(Format, Self), String> {
        let mut start = start_of(&mut source).map_err(|error| format!("the file cannot be read: {error}"))?;
        if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
            return Err("the file is UTF-16; save it as UTF-8".into());
        }
        while start.starts_with(&[0xEF, 0xBB, 0xBF]) {
            start.drain(..3);
        }
        let delimiter = delimiter(&start);
        let watched = Watched::new(Cursor::new(start).chain(source), delimiter);
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(1 << 16)
            .from_reader(watched);
        let mut first = ByteRecord::new();
        if !csv.read_byte_record(&mut first).map_err(|error| format!("the file cannot be read: {}", cause(error)))? {
            return Err("the file is empty".into());
        }
        csv.get_mut().starts.pop_front();
        let (format, header) = understood(first, zone)?;
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

    /// The row as far as it can be read, and what is wrong with it. Cells that are left out at its end are empty.
    fn checked(&self, line: u64, bytes: &ByteRecord) -> Result<Row, Box<RefusedRow>> {
        let watched = self.csv.get_ref();
        let mut reason = (watched.ended && watched.at == At::Quoted)
            .then(|| format!("the file ends inside a quoted cell that began on line {}", watched.quote_line));
        let names = &self.header.names;
        let mut cells: Vec<&[u8]> = bytes.iter().collect();
        if let Some(last) = cells.last_mut().filter(|_| watched.ended) {
            while let Some(rest) = last.strip_suffix(b"\0") {
                *last = rest;
            }
        }
        if cells.iter().skip(names.len()).any(|cell| !is_blank(cell)) {
            let count = cells.len();
            reason
                .get_or_insert(format!("the row has too many cells: {count}, where the header names {}", names.len()));
        }
        cells.resize(names.len(), b"");
        let mut repairs = Vec::new();
        let mut read = |(cell, name): (&[u8], &String)| {
            if str::from_utf8(cell).is_err() {
                reason.get_or_insert(format!("column \"{name}\" on line {line} is not UTF-8"));
            }
            let text = String::from_utf8_lossy(cell);
            let Some((text, first)) = repaired(&text) else { return text.into_owned() };
            repairs.push(repair_note(&format!("column \"{name}\""), first));
            text
        };
        let cells: StringRecord = cells.into_iter().zip(names).map(&mut read).collect();
        let row = Row { line, repairs, header: Arc::clone(&self.header), cells };
        match reason.or_else(|| row.stray_character()) {
            None => Ok(row),
            Some(reason) => Err(Box::new(RefusedRow { row, reason })),
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, Box<RefusedRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let mut bytes = ByteRecord::new();
            let found = self.csv.read_byte_record(&mut bytes);
            let watched = self.csv.get_mut();
            let line = watched.starts.pop_front().unwrap_or(watched.line);
            match found {
                Ok(true) if bytes.iter().all(is_blank) && watched.at != At::Quoted => {}
                Ok(true) => return Some(self.checked(line, &bytes)),
                Ok(false) => self.done = true,
                Err(error) => {
                    self.done = true;
                    let reason = format!("the file cannot be read further: {}", cause(error));
                    let (header, cells) = (Arc::clone(&self.header), StringRecord::new());
                    let row = Row { line, repairs: Vec::new(), header, cells };
                    return Some(Err(Box::new(RefusedRow { row, reason })));
                }
            }
        }
        None
    }
}

/// Whether a cell says nothing: blanks, or the null bytes that some programs fill a file up with.
fn is_blank(cell: &[u8]) -> bool {
    cell.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// The longest first line by which a file is recognized.
const LONGEST_HEADER: u64 = 64 << 10;

/// What a file begins with: its first line and perhaps more.
fn start_of(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut source = source.take(LONGEST_HEADER);
    while !start.contains(&b'\n') && source.by_ref().take(4 << 10).read_to_end(&mut start)? > 0 {}
    Ok(start)
}

/// What parts the cells: of comma, semicolon and tab the one by which the first line is a header that is known.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let is_known = |delimiter: &u8| {
        let mut csv = csv::ReaderBuilder::new().has_headers(false).delimiter(*delimiter).from_reader(line);
        let mut first = ByteRecord::new();
        csv.read_byte_record(&mut first).is_ok() && understood(first, Tz::UTC).is_ok()
    };
    [b',', b';', b'\t'].into_iter().find(is_known).unwrap_or(b',')
}

fn cause(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn understood(first: ByteRecord, zone: Tz) -> Result<(Format, Header), String> {
    let first = StringRecord::from_byte_record(first).map_err(|_| "the first line is not UTF-8")?;
    let mut names: Vec<String> = first.iter().map(|name| name.trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
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
    Ok((format, Header { names, one_line, zone }))
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;
