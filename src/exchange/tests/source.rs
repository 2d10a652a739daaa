//! Files that are cut short, mangled or somebody else's.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{watched::LONGEST_ROW, *};

fn rows(text: &[u8]) -> Vec<Result<(u64, String), Flaw>> {
    let Ok((_, rows)) = Rows::open(text, Tz::UTC) else {
        panic!("the header was not understood");
    };
    let title = |row: Row| (row.line, row.cell("TITLE").unwrap_or("absent").to_owned());
    let flaw = |refused: Box<RefusedRow>| Flaw { line: refused.row.line, reason: refused.reason };
    rows.map(|row| row.map(title).map_err(flaw)).collect()
}

fn flaw(line: u64, reason: &str) -> Result<(u64, String), Flaw> {
    let reason = reason.to_owned();
    Err(Flaw { line, reason })
}

#[test]
fn lines_are_those_of_the_file() {
    let text =
        b"\xEF\xBB\xBF\"Handle\", Title \r\na,\"two\r\nlines\"\r\n\r\n,\r\nb,\"a \"\"b\"\" c\"\r\nc,6\" pipe\r\n";
    let refused = flaw(2, "column \"Title\" holds the control character \\u{d}");
    let fine = |line, title: &str| Ok((line, title.to_owned()));
    assert_eq!(rows(text), [refused, fine(6, "a \"b\" c"), fine(7, "6\" pipe")]);
}

#[test]
fn a_flaw_is_told_and_the_next_row_is_read() {
    let text = b"Handle,Title\na\nb,1,2\nc,\xFF\nd,x\0y\ne,good\n";
    assert_eq!(
        rows(text),
        [
            Ok((2, String::new())),
            flaw(3, "the row has too many cells: 3, where the header names 2"),
            flaw(4, "column \"Title\" on line 4 is not UTF-8"),
            flaw(5, "column \"Title\" holds the control character \\u{0}"),
            Ok((6, "good".to_owned())),
        ]
    );
}

#[test]
fn a_quote_left_open_is_told() {
    let ends = "the file ends inside a quoted cell that began on line 3";
    let text = b"Handle,Title\na,good\n\"b\",\"cut\noff,";
    let good = Ok((2, "good".to_owned()));
    assert_eq!(rows(text), [good.clone(), flaw(3, ends)]);

    let long = [&b"Handle,Title\na,good\nb,\""[..], &vec![b'x'; LONGEST_ROW + 1]].concat();
    let stopped = "the file cannot be read further: a row is longer than 4 MiB; \
                   is the quote on line 3 never closed?";
    assert_eq!(rows(&long), [good, flaw(3, stopped)]);
}

#[test]
fn another_file_is_named_by_its_columns() {
    let refused = |text: &[u8]| read(text, Tz::UTC).err().unwrap_or_default();
    let unknown = refused(b"name;price\nx;1\n");
    assert!(unknown.contains("first columns are \"name;price\""), "{unknown}");
    assert!(unknown.contains("\"Handle\""), "{unknown}");
    assert_eq!(refused(b""), "the file is empty");
    assert_eq!(refused(b"\xFF\xFEH\0"), "the file is UTF-16; save it as UTF-8");
    let woo = read(&b"ID,Type,SKU,Name\n"[..], Tz::UTC).map(|catalog| catalog.format);
    assert_eq!(woo, Ok(Format::WooCommerce));
}

#[test]
fn semicolons_and_tabs_are_recognized_by_the_header() {
    for delimiter in [";", "\t"] {
        let text = "\u{feff}\"Handle\",Title,Body\r\na,\"A, 1\",\"x\ny\"\r\nb,B\r\n".replace(',', delimiter);
        let found = rows(text.replacen(&format!("A{delimiter} 1"), "A, 1", 1).as_bytes());
        assert_eq!(found, [Ok((2, "A, 1".to_owned())), Ok((4, "B".to_owned()))], "{delimiter:?}");
        let woo = ["ID", "Type", "SKU", "Name"].join(delimiter);
        assert_eq!(read(woo.as_bytes(), Tz::UTC).map(|catalog| catalog.format), Ok(Format::WooCommerce));
    }
    assert_eq!(rows(b"Handle,Title;b\na,c\n"), [Ok((2, "absent".to_owned()))]);
}

#[test]
fn padded_and_shortened_rows_are_taken() {
    let text = b"Handle,Title,,\na,A,, \nb\nc,C,,x\nd,D,,,,,\n,,,,\n";
    let fine = |line, title: &str| Ok((line, title.to_owned()));
    let refused = flaw(4, "the row has too many cells: 4, where the header names 2");
    assert_eq!(rows(text), [fine(2, "A"), fine(3, ""), refused, fine(5, "D")]);
}

#[test]
fn null_bytes_at_the_end_are_no_rows() {
    let fine = |line, title: &str| Ok((line, title.to_owned()));
    assert_eq!(rows(b"Handle,Title\na,A\n\0\0\0"), [fine(2, "A")]);
    assert_eq!(rows(b"Handle,Title\na,A\0\0\0"), [fine(2, "A")]);
    assert_eq!(rows(b"Handle,Title\na,A\n\0\0\n\0,\0\nb,B"), [fine(2, "A"), fine(5, "B")]);
}

#[test]
fn windows_1252_read_as_latin_1_is_repaired_with_a_note() {
    let Ok((_, mut rows)) = Rows::open("Handle,Title\na,Lamp\u{99}\nb,B\n".as_bytes(), Tz::UTC) else {
        panic!("the header was not understood");
    };
    let Some(Ok(row)) = rows.next() else { panic!("the row was refused") };
    assert_eq!(row.cell("Title"), Some("Lamp™"));
    let note = "column \"Title\" holds Windows-1252 read as Latin-1 (the control character \\u{99}) and was repaired";
    assert_eq!(row.repairs, [note]);
    assert!(rows.next().is_some_and(|row| row.is_ok_and(|row| row.repairs.is_empty())));
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let bytes = Arc::new(AtomicU64::new(0));
    let text = b"\xEF\xBB\xBFHandle,Title\na,b\n";
    let found = read(Counted::new(&text[..], Arc::clone(&bytes)), Tz::UTC);
    assert_eq!(found.map(|catalog| catalog.entries.count()), Ok(1));
    assert_eq!(bytes.load(Ordering::Relaxed), text.len() as u64);
}
