//! Files that are cut short, mangled or somebody else's.

use super::*;

fn rows(text: &[u8]) -> Vec<Result<(u64, String), Flaw>> {
    let Ok((_, rows)) = Rows::open(text) else {
        panic!("the header was not understood");
    };
    let title = |row: Row| (row.line, row.cell("TITLE").unwrap_or("absent").to_owned());
    rows.map(|row| row.map(title)).collect()
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
            flaw(2, "the row has too few cells: 1, where the header names 2"),
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
    let refused = |text: &[u8]| read(text).err().unwrap_or_default();
    let unknown = refused(b"name;price\nx;1\n");
    assert!(unknown.contains("first columns are \"name;price\""), "{unknown}");
    assert!(unknown.contains("\"Handle\""), "{unknown}");
    assert_eq!(refused(b""), "the file is empty");
    assert_eq!(refused(b"\xFF\xFEH\0"), "the file is UTF-16; save it as UTF-8");
    let woo = read(&b"ID,Type,SKU,Name\n"[..]).map(|catalog| catalog.format);
    assert_eq!(woo, Ok(Format::WooCommerce));
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let bytes = Arc::new(AtomicU64::new(0));
    let text = b"\xEF\xBB\xBFHandle,Title\na,b\n";
    let found = read(Counted::new(&text[..], Arc::clone(&bytes)));
    assert_eq!(found.map(|catalog| catalog.entries.count()), Ok(1));
    assert_eq!(bytes.load(Ordering::Relaxed), text.len() as u64);
}
