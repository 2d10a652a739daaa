//! Readers in front of the CSV parser: count bytes and track quotes and line numbers.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A reader that counts bytes for the progress display.
pub struct CountingReader<R> {
    source: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> CountingReader<R> {
    /// Creates a reader that adds the bytes read from `source` to `bytes`.
    pub fn new(source: R, bytes: Arc<AtomicU64>) -> Self {
        Self { source, bytes }
    }
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes_read = self.source.read(buffer)?;
        self.bytes.fetch_add(bytes_read as u64, Ordering::Relaxed);
        Ok(bytes_read)
    }
}

/// The maximum length of a row. It stops an unclosed quote from reading the whole file into memory.
pub(super) const MAX_ROW_BYTES: usize = 4 << 20;

/// The parser state within a row, by the same rules as the CSV parser.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CsvPosition {
    RowStart,
    CellStart,
    Unquoted,
    Quoted,
    /// After a quote inside a quoted cell: the end of the cell, or the first half of an escaped quote.
    ClosingQuote,
}

/// A reader that tracks quotes and lines, because the CSV parser reports neither an unclosed cell nor, with CRLF, the
/// correct line.
pub(super) struct QuoteTracker<R> {
    source: R,
    delimiter: u8,
    pub(super) position: CsvPosition,
    pub(super) line: u64,
    after_carriage_return: bool,
    /// The first lines of rows that the parser has buffered but not returned yet.
    pub(super) row_start_lines: VecDeque<u64>,
    pub(super) quote_line: u64,
    row_length: usize,
    pub(super) is_at_end: bool,
}

impl<R> QuoteTracker<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Self {
        let row_start_lines = VecDeque::new();
        Self {
            source,
            delimiter,
            position: CsvPosition::RowStart,
            line: 1,
            after_carriage_return: false,
            row_start_lines,
            quote_line: 1,
            row_length: 0,
            is_at_end: false,
        }
    }

    fn advance(&mut self, byte: u8) {
        let previous = self.position;
        self.position = match (previous, byte) {
            (CsvPosition::Quoted, b'"') => CsvPosition::ClosingQuote,
            (CsvPosition::Quoted, _)
            | (CsvPosition::ClosingQuote | CsvPosition::RowStart | CsvPosition::CellStart, b'"') => CsvPosition::Quoted,
            (_, b'\r' | b'\n') => CsvPosition::RowStart,
            (_, byte) if byte == self.delimiter => CsvPosition::CellStart,
            _ => CsvPosition::Unquoted,
        };
        if previous == CsvPosition::RowStart && self.position != CsvPosition::RowStart {
            self.row_start_lines.push_back(self.line);
            self.row_length = 0;
        }
        if self.position == CsvPosition::Quoted && matches!(previous, CsvPosition::RowStart | CsvPosition::CellStart) {
            self.quote_line = self.line;
        }
        self.row_length = if self.position == CsvPosition::RowStart { 0 } else { self.row_length + 1 };
        self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_carriage_return));
        self.after_carriage_return = byte == b'\r';
    }
}

impl<R: Read> Read for QuoteTracker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes_read = loop {
            match self.source.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.is_at_end = bytes_read == 0;
        for &byte in buffer.iter().take(bytes_read) {
            self.advance(byte);
        }
        if self.row_length > MAX_ROW_BYTES {
            let quote_hint = if self.position == CsvPosition::Quoted {
                format!("; is the quote on line {} never closed?", self.quote_line)
            } else {
                String::new()
            };
            return Err(io::Error::other(format!("a row is longer than {} MiB{quote_hint}", MAX_ROW_BYTES >> 20)));
        }
        Ok(bytes_read)
    }
}
