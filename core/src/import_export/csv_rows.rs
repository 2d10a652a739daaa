//! Rows of product CSV files with their line numbers, and detection of the format by the header.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use chrono_tz::Tz;
use csv::{ByteRecord, StringRecord};

use super::{
    csv_fields::{format_repair_note, repair_windows_1252},
    shopify_columns, woocommerce_columns,
};

mod quote_tracker;

pub use quote_tracker::CountingReader;
use quote_tracker::{CsvPosition, QuoteTracker};

/// The export format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogFormat {
    /// Shopify's product export, with the old or the new (2025) column names, or Savannah's own export.
    Shopify,
    /// `WooCommerce`'s product export.
    WooCommerce,
}

struct CsvHeader {
    names: Vec<String>,
    /// For each column, whether a line break in it is an error.
    is_single_line: Vec<bool>,
    time_zone: Tz,
}

/// A row of the file, padded to the columns of the header.
pub(super) struct CsvRow {
    /// The line of the file on which the row begins.
    pub(super) line: u64,
    /// The corrections made while reading.
    pub(super) repairs: Vec<String>,
    header: Arc<CsvHeader>,
    cells: StringRecord,
}

/// A rejected row, as far as it could be read, with the reason.
pub(super) struct RejectedRow {
    pub(super) row: CsvRow,
    pub(super) reason: String,
}

impl CsvRow {
    /// Returns the trimmed cell of a column: `""` if it is empty, `None` if the file has no such column.
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        let index = self.header.names.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.cells.get(index).map(str::trim)
    }

    /// Returns the trimmed cell of a column, or `None` if it is empty.
    pub(super) fn non_empty_cell(&self, column: &str) -> Option<&str> {
        self.cell(column).filter(|text| !text.is_empty())
    }

    /// Returns the time zone of dates without an offset.
    pub(super) fn time_zone(&self) -> Tz {
        self.header.time_zone
    }

    fn find_control_character(&self) -> Option<String> {
        let columns = self.header.names.iter().zip(&self.header.is_single_line);
        columns.zip(&self.cells).find_map(|((name, &is_single_line), cell)| {
            let text = cell.trim();
            let control_character =
                text.chars().find(|&c| c.is_control() && (is_single_line || !matches!(c, '\n' | '\r' | '\t')))?;
            Some(format!("column \"{name}\" contains the control character {}", control_character.escape_unicode()))
        })
    }
}

/// An iterator over the rows after the header. Each error is reported once; only a read error ends it early.
pub(super) struct CsvRows<R> {
    reader: csv::Reader<QuoteTracker<io::Chain<Cursor<Vec<u8>>, R>>>,
    header: Arc<CsvHeader>,
    is_done: bool,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header and detects the format.
    pub(super) fn open(mut source: R, time_zone: Tz) -> Result<(CatalogFormat, Self), String> {
        let mut start = read_start(&mut source).map_err(|error| format!("the file cannot be read: {error}"))?;
        if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
            return Err("the file is UTF-16; save it as UTF-8".into());
        }
        while start.starts_with(&[0xEF, 0xBB, 0xBF]) {
            start.drain(..3);
        }
        let delimiter = detect_delimiter(&start);
        let tracker = QuoteTracker::new(Cursor::new(start).chain(source), delimiter);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(1 << 16)
            .from_reader(tracker);
        let mut header_record = ByteRecord::new();
        if !reader
            .read_byte_record(&mut header_record)
            .map_err(|error| format!("the file cannot be read: {}", format_csv_error(error)))?
        {
            return Err("the file is empty".into());
        }
        reader.get_mut().row_start_lines.pop_front();
        let (format, header) = parse_header(header_record, time_zone)?;
        Ok((format, Self { reader, header: Arc::new(header), is_done: false }))
    }

    /// Counts the columns of a numbered name; `{}` is the placeholder for the number, from 1.
    pub(super) fn count_numbered_columns(&self, name: &str) -> usize {
        let has_column = |number: &usize| {
            let name = name.replace("{}", &number.to_string());
            self.header.names.iter().any(|column| column.eq_ignore_ascii_case(&name))
        };
        (1..=self.header.names.len()).take_while(has_column).count()
    }

    /// Decodes and validates a row. Missing trailing cells are empty.
    fn validate_row(&self, line: u64, bytes: &ByteRecord) -> Result<CsvRow, Box<RejectedRow>> {
        let tracker = self.reader.get_ref();
        let mut reason = (tracker.is_at_end && tracker.position == CsvPosition::Quoted)
            .then(|| format!("the file ends inside a quoted cell that began on line {}", tracker.quote_line));
        let names = &self.header.names;
        let mut cells: Vec<&[u8]> = bytes.iter().collect();
        if let Some(last) = cells.last_mut().filter(|_| tracker.is_at_end) {
            while let Some(trimmed) = last.strip_suffix(b"\0") {
                *last = trimmed;
            }
        }
        if cells.iter().skip(names.len()).any(|cell| !is_blank_cell(cell)) {
            let count = cells.len();
            reason.get_or_insert(format!("the row has too many cells: {count}; the header has {}", names.len()));
        }
        cells.resize(names.len(), b"");
        let mut repairs = Vec::new();
        let mut decode_cell = |(cell, name): (&[u8], &String)| {
            if str::from_utf8(cell).is_err() {
                reason.get_or_insert(format!("column \"{name}\" on line {line} is not UTF-8"));
            }
            let text = String::from_utf8_lossy(cell);
            let Some((text, first)) = repair_windows_1252(&text) else { return text.into_owned() };
            repairs.push(format_repair_note(&format!("column \"{name}\""), first));
            text
        };
        let cells: StringRecord = cells.into_iter().zip(names).map(&mut decode_cell).collect();
        let row = CsvRow { line, repairs, header: Arc::clone(&self.header), cells };
        match reason.or_else(|| row.find_control_character()) {
            None => Ok(row),
            Some(reason) => Err(Box::new(RejectedRow { row, reason })),
        }
    }
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = Result<CsvRow, Box<RejectedRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_done {
            let mut bytes = ByteRecord::new();
            let read_result = self.reader.read_byte_record(&mut bytes);
            let tracker = self.reader.get_mut();
            let line = tracker.row_start_lines.pop_front().unwrap_or(tracker.line);
            match read_result {
                Ok(true) if bytes.iter().all(is_blank_cell) && tracker.position != CsvPosition::Quoted => {}
                Ok(true) => return Some(self.validate_row(line, &bytes)),
                Ok(false) => self.is_done = true,
                Err(error) => {
                    self.is_done = true;
                    let reason = format!("the file cannot be read further: {}", format_csv_error(error));
                    let (header, cells) = (Arc::clone(&self.header), StringRecord::new());
                    let row = CsvRow { line, repairs: Vec::new(), header, cells };
                    return Some(Err(Box::new(RejectedRow { row, reason })));
                }
            }
        }
        None
    }
}

/// Returns whether a cell is blank: whitespace, or the null bytes that some programs pad files with.
fn is_blank_cell(cell: &[u8]) -> bool {
    cell.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// The maximum length of the header line. Bytes.
const MAX_HEADER_BYTES: u64 = 64 << 10;

/// Reads the first line of a file, and possibly more.
fn read_start(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut source = source.take(MAX_HEADER_BYTES);
    while !start.contains(&b'\n') && source.by_ref().take(4 << 10).read_to_end(&mut start)? > 0 {}
    Ok(start)
}

/// Detects the delimiter: comma, semicolon or tab, whichever makes the first line a known header.
fn detect_delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let is_known_header = |delimiter: &u8| {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(*delimiter).from_reader(line);
        let mut header_record = ByteRecord::new();
        reader.read_byte_record(&mut header_record).is_ok() && parse_header(header_record, Tz::UTC).is_ok()
    };
    [b',', b';', b'\t'].into_iter().find(is_known_header).unwrap_or(b',')
}

fn format_csv_error(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn parse_header(record: ByteRecord, time_zone: Tz) -> Result<(CatalogFormat, CsvHeader), String> {
    let record = StringRecord::from_byte_record(record).map_err(|_| "the first line is not UTF-8")?;
    let mut names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let has_column = |column: &str| names.iter().any(|name| name.eq_ignore_ascii_case(column));
    let format = if has_column("Handle") {
        CatalogFormat::Shopify
    } else if has_column("URL handle") {
        names = names.into_iter().map(shopify_columns::map_renamed_column).collect();
        CatalogFormat::Shopify
    } else if has_column("Type") && has_column("Name") && (has_column("SKU") || has_column("ID")) {
        CatalogFormat::WooCommerce
    } else {
        let preview = names.iter().take(4).map(|name| name.chars().take(40).collect::<String>());
        let preview = preview.collect::<Vec<_>>().join("\", \"");
        return Err(format!(
            "the file's first columns are \"{preview}\"; a Shopify product file has \"Handle\", \
             a WooCommerce one has \"Type\", \"SKU\" and \"Name\""
        ));
    };
    // Option and attribute columns are numbered; their count depends on the file.
    let is_single_line = |name: &String| {
        let has_prefix =
            |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        has_prefix("Option")
            || has_prefix("Attribute ")
            || match format {
                CatalogFormat::Shopify => shopify_columns::is_single_line(name),
                CatalogFormat::WooCommerce => woocommerce_columns::is_single_line(name),
            }
    };
    let is_single_line = names.iter().map(is_single_line).collect();
    Ok((format, CsvHeader { names, is_single_line, time_zone }))
}

#[cfg(test)]
#[path = "tests/csv_rows.rs"]
mod tests;
