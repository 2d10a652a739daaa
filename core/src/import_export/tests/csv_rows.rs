//! Tests of truncated, malformed and unknown files.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{quote_tracker::MAX_ROW_BYTES, *};
use crate::import_export::{catalog_entry::RowError, catalog_reader::open_catalog};

fn read_rows(text: &[u8]) -> Vec<Result<(u64, String), RowError>> {
    let Ok((_, rows)) = CsvRows::open(text, Tz::UTC) else {
        panic!("the header was not recognized");
    };
    let read_title = |row: CsvRow| (row.line, row.cell("TITLE").unwrap_or("absent").to_owned());
    let convert_error = |rejected: Box<RejectedRow>| RowError { line: rejected.row.line, reason: rejected.reason };
    rows.map(|row| row.map(read_title).map_err(convert_error)).collect()
}

fn row_error(line: u64, reason: &str) -> Result<(u64, String), RowError> {
    let reason = reason.to_owned();
    Err(RowError { line, reason })
}

#[test]
fn row_lines_match_the_file() {
    let text =
        b"\xEF\xBB\xBF\"Handle\", Title \r\na,\"two\r\nlines\"\r\n\r\n,\r\nb,\"a \"\"b\"\" c\"\r\nc,6\" pipe\r\n";
    let rejected = row_error(2, "column \"Title\" contains the control character \\u{d}");
    let accepted = |line, title: &str| Ok((line, title.to_owned()));
    assert_eq!(read_rows(text), [rejected, accepted(6, "a \"b\" c"), accepted(7, "6\" pipe")]);
}

#[test]
fn invalid_row_is_reported_and_the_next_is_read() {
    let text = b"Handle,Title\na\nb,1,2\nc,\xFF\nd,x\0y\ne,good\n";
    assert_eq!(
        read_rows(text),
        [
            Ok((2, String::new())),
            row_error(3, "the row has too many cells: 3; the header has 2"),
            row_error(4, "column \"Title\" on line 4 is not UTF-8"),
            row_error(5, "column \"Title\" contains the control character \\u{0}"),
            Ok((6, "good".to_owned())),
        ]
    );
}

#[test]
fn unclosed_quote_is_reported() {
    let end_reason = "the file ends inside a quoted cell that began on line 3";
    let text = b"Handle,Title\na,good\n\"b\",\"cut\noff,";
    let accepted = Ok((2, "good".to_owned()));
    assert_eq!(read_rows(text), [accepted.clone(), row_error(3, end_reason)]);

    let long_text = [&b"Handle,Title\na,good\nb,\""[..], &vec![b'x'; MAX_ROW_BYTES + 1]].concat();
    let stop_reason = "the file cannot be read further: a row is longer than 4 MiB; \
                   is the quote on line 3 never closed?";
    assert_eq!(read_rows(&long_text), [accepted, row_error(3, stop_reason)]);
}

#[test]
fn unknown_format_is_reported_with_its_columns() {
    let open_error = |text: &[u8]| open_catalog(text, Tz::UTC).err().unwrap_or_default();
    let message = open_error(b"name;price\nx;1\n");
    assert!(message.contains("first columns are \"name;price\""), "{message}");
    assert!(message.contains("\"Handle\""), "{message}");
    assert_eq!(open_error(b""), "the file is empty");
    assert_eq!(open_error(b"\xFF\xFEH\0"), "the file is UTF-16; save it as UTF-8");
    let woocommerce_format = open_catalog(&b"ID,Type,SKU,Name\n"[..], Tz::UTC).map(|catalog| catalog.format);
    assert_eq!(woocommerce_format, Ok(CatalogFormat::WooCommerce));
}

#[test]
fn semicolons_and_tabs_are_recognized_by_the_header() {
    for delimiter in [";", "\t"] {
        let text = "\u{feff}\"Handle\",Title,Body\r\na,\"A, 1\",\"x\ny\"\r\nb,B\r\n".replace(',', delimiter);
        let parsed = read_rows(text.replacen(&format!("A{delimiter} 1"), "A, 1", 1).as_bytes());
        assert_eq!(parsed, [Ok((2, "A, 1".to_owned())), Ok((4, "B".to_owned()))], "{delimiter:?}");
        let woocommerce_text = ["ID", "Type", "SKU", "Name"].join(delimiter);
        assert_eq!(
            open_catalog(woocommerce_text.as_bytes(), Tz::UTC).map(|catalog| catalog.format),
            Ok(CatalogFormat::WooCommerce)
        );
    }
    assert_eq!(read_rows(b"Handle,Title;b\na,c\n"), [Ok((2, "absent".to_owned()))]);
}

#[test]
fn padded_and_short_rows_are_accepted() {
    let text = b"Handle,Title,,\na,A,, \nb\nc,C,,x\nd,D,,,,,\n,,,,\n";
    let accepted = |line, title: &str| Ok((line, title.to_owned()));
    let rejected = row_error(4, "the row has too many cells: 4; the header has 2");
    assert_eq!(read_rows(text), [accepted(2, "A"), accepted(3, ""), rejected, accepted(5, "D")]);
}

#[test]
fn trailing_null_bytes_are_ignored() {
    let accepted = |line, title: &str| Ok((line, title.to_owned()));
    assert_eq!(read_rows(b"Handle,Title\na,A\n\0\0\0"), [accepted(2, "A")]);
    assert_eq!(read_rows(b"Handle,Title\na,A\0\0\0"), [accepted(2, "A")]);
    assert_eq!(read_rows(b"Handle,Title\na,A\n\0\0\n\0,\0\nb,B"), [accepted(2, "A"), accepted(5, "B")]);
}

#[test]
fn windows_1252_read_as_latin_1_is_repaired_with_a_note() {
    let Ok((_, mut rows)) = CsvRows::open("Handle,Title\na,Lamp\u{99}\nb,B\n".as_bytes(), Tz::UTC) else {
        panic!("the header was not recognized");
    };
    let Some(Ok(row)) = rows.next() else { panic!("the row was rejected") };
    assert_eq!(row.cell("Title"), Some("Lamp™"));
    let note =
        "column \"Title\" contains Windows-1252 read as Latin-1 (the control character \\u{99}) and was repaired";
    assert_eq!(row.repairs, [note]);
    assert!(rows.next().is_some_and(|row| row.is_ok_and(|row| row.repairs.is_empty())));
}

#[test]
fn bytes_read_are_counted() {
    let bytes = Arc::new(AtomicU64::new(0));
    let text = b"\xEF\xBB\xBFHandle,Title\na,b\n";
    let result = open_catalog(CountingReader::new(&text[..], Arc::clone(&bytes)), Tz::UTC);
    assert_eq!(result.map(|catalog| catalog.entries.count()), Ok(1));
    assert_eq!(bytes.load(Ordering::Relaxed), text.len() as u64);
}
