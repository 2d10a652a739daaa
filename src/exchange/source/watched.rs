//! What passes on its way to the csv parser: counted, and followed by its quotes and lines.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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
pub(super) const LONGEST_ROW: usize = 4 << 20;

/// Where in a row a byte stands, by the same rules as the csv parser's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    RowStart,
    CellStart,
    Plain,
    Quoted,
    /// After a quote inside a quoted cell: its end, or half of a doubled one.
    Closing,
}

/// Follows the quotes on the way to the csv parser, which tells neither a cell left open nor, with CRLF, the right line.
pub(super) struct Watched<R> {
    source: R,
    delimiter: u8,
    pub(super) at: At,
    pub(super) line: u64,
    after_return: bool,
    /// Lines on which rows begin that the parser has not handed out yet; as many as fit its buffer.
    pub(super) starts: VecDeque<u64>,
    pub(super) quote_line: u64,
    row_length: usize,
    pub(super) ended: bool,
}

impl<R> Watched<R> {
    pub(super) fn new(source: R, delimiter: u8) -> Self {
        let starts = VecDeque::new();
        Self {
            source,
            delimiter,
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
            (_, byte) if byte == self.delimiter => At::CellStart,
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
