//! Keyset paging: what a caller asks for, and cursors that survive inserts.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

use super::{Error, Result};

/// The largest page.
pub const MAX: usize = 100;
/// The page of somebody who does not say.
pub const DEFAULT: usize = 20;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// How many.
    pub size: usize,
    /// From the end towards the beginning.
    pub backwards: bool,
    /// The cursor to go on from.
    pub cursor: Option<String>,
}

impl Window {
    /// Checks the four arguments of a connection.
    ///
    /// # Errors
    /// When they contradict each other or ask for more than [`MAX`].
    pub fn new(first: Option<i32>, after: Option<String>, last: Option<i32>, before: Option<String>) -> Result<Self> {
        match (first, last, after, before) {
            (Some(_), Some(_), _, _) => Err(Error::bad_input("last", "ask for `first` or for `last`, not for both")),
            (_, _, Some(_), Some(_)) => Err(Error::bad_input("before", "use `after` or `before`, not both")),
            (Some(_), _, _, Some(_)) => Err(Error::bad_input("before", "`before` goes with `last`")),
            (_, Some(_), Some(_), _) => Err(Error::bad_input("after", "`after` goes with `first`")),
            (_, last @ Some(_), None, before) | (None, last, None, before @ Some(_)) => {
                Ok(Self { size: size("last", last)?, backwards: true, cursor: before })
            }
            (first, None, after, None) => Ok(Self { size: size("first", first)?, backwards: false, cursor: after }),
        }
    }
}

/// Checks how many of something one answer may hold.
///
/// # Errors
/// When it is not from 0 to [`MAX`].
pub fn size(field: &str, wanted: Option<i32>) -> Result<usize> {
    let Some(wanted) = wanted else { return Ok(DEFAULT) };
    usize::try_from(wanted)
        .ok()
        .filter(|wanted| *wanted <= MAX)
        .ok_or_else(|| Error::bad_input(field, format!("`{field}` must be from 0 to {MAX}; it is {wanted}")))
}

/// One part of a row's place in an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// A number: a price, a score.
    Int(i64),
    /// A flag.
    Flag(bool),
    /// A moment.
    Time(DateTime<Utc>),
    /// A folded name.
    Text(String),
}

/// A row's place in an order: the order's tag, its keys, its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// Which order it belongs to.
    pub order: char,
    /// The order's own columns.
    pub keys: Vec<Key>,
    /// What makes it unique.
    pub id: i64,
}

impl Cursor {
    /// The word that travels.
    #[must_use]
    pub fn encode(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("{}{}", self.order, self.id);
        for key in &self.keys {
            // Writing to a String cannot fail.
            let _ = match key {
                Key::Int(value) => write!(text, "\u{1f}i{value}"),
                Key::Flag(value) => write!(text, "\u{1f}f{}", u8::from(*value)),
                Key::Time(value) => write!(text, "\u{1f}t{}", value.timestamp_micros()),
                Key::Text(value) => write!(text, "\u{1f}s{value}"),
            };
        }
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a cursor of one order whose keys are like `shape`; `field` is where it stood.
    ///
    /// # Errors
    /// When it is not one that this shop gave out for this order.
    pub fn decode(text: &str, order: char, shape: &[Key], field: &str) -> Result<Self> {
        let forged =
            || Error::bad_input(field, "this is not a cursor of this list; use one from its `pageInfo` or `edges`");
        let cursor = Self::read(text).ok_or_else(forged)?;
        if cursor.order != order {
            let message = "this cursor belongs to another order of the list; start again without it";
            return Err(Error::bad_input(field, message));
        }
        let alike = |(a, b): (&Key, &Key)| std::mem::discriminant(a) == std::mem::discriminant(b);
        let fits = cursor.keys.len() == shape.len() && cursor.keys.iter().zip(shape).all(alike);
        if fits { Ok(cursor) } else { Err(forged()) }
    }

    fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.split('\u{1f}');
        let mut head = parts.next()?.chars();
        let order = head.next()?;
        let id = head.as_str().parse().ok()?;
        let keys = parts.map(Key::read).collect::<Option<Vec<_>>>()?;
        Some(Self { order, keys, id })
    }
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let mut rest = text.chars();
        let kind = rest.next()?;
        let rest = rest.as_str();
        match kind {
            'i' => rest.parse().ok().map(Self::Int),
            'f' => matches!(rest, "0" | "1").then(|| Self::Flag(rest == "1")),
            't' => rest.parse().ok().and_then(DateTime::from_timestamp_micros).filter(in_range).map(Self::Time),
            // A null byte would be the database's fault to find.
            's' => (!rest.contains('\0')).then(|| Self::Text(rest.to_owned())),
            _ => None,
        }
    }
}

/// Whether a moment is one that every database can hold.
#[must_use]
pub fn in_range(at: &DateTime<Utc>) -> bool {
    use chrono::Datelike;
    (1..=9999).contains(&at.year())
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// In the list's own order, whichever way it was read.
    pub rows: Vec<T>,
    /// Whether more follow.
    pub has_next: bool,
    /// Whether there are some before.
    pub has_previous: bool,
}

impl<T> Page<T> {
    /// Makes a page of rows read in the window's direction, one more than its size if there are more.
    #[must_use]
    pub fn settle(mut rows: Vec<T>, window: &Window) -> Self {
        let more = rows.len() > window.size;
        rows.truncate(window.size);
        let came_from = window.cursor.is_some();
        if window.backwards {
            rows.reverse();
            return Self { rows, has_next: came_from, has_previous: more };
        }
        Self { rows, has_next: more, has_previous: came_from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { order: 'n', keys: vec![Key::Text("cafe creme".into()), Key::Flag(true)], id: 7 };
        let shape = [Key::Text(String::new()), Key::Flag(false)];
        assert_eq!(Cursor::decode(&cursor.encode(), 'n', &shape, "after").ok(), Some(cursor));
    }

    #[test]
    fn cursor_keys_of_every_type_decode_to_themselves() {
        let time = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let keys = vec![Key::Int(-3), Key::Flag(false), Key::Time(time("2026-11-01T09:00:00.000001Z"))];
        let cursor = Cursor { order: 'n', keys, id: 7 };
        let shape = [Key::Int(0), Key::Flag(true), Key::Time(DateTime::UNIX_EPOCH)];
        assert_eq!(Cursor::decode(&cursor.encode(), 'n', &shape, "after").ok(), Some(cursor.clone()));
        assert!(Cursor::decode(&cursor.encode(), 'n', &shape[..2], "after").is_err());
        // A time that a database cannot hold.
        let late =
            Cursor { keys: vec![Key::Time(time("9999-12-31T23:59:59Z") + chrono::TimeDelta::days(1))], ..cursor };
        assert!(Cursor::decode(&late.encode(), 'n', &[Key::Time(DateTime::UNIX_EPOCH)], "after").is_err());
    }

    #[test]
    fn page_of_one_row_more_than_its_size_has_another_page() {
        let window = |backwards, cursor: Option<&str>| Window { size: 2, backwards, cursor: cursor.map(str::to_owned) };
        let page = Page::settle(vec![1, 2, 3], &window(false, None));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![1, 2], true, false));
        let page = Page::settle(vec![1, 2], &window(false, Some("a")));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![1, 2], false, true));
        let page = Page::settle(vec![3, 2, 1], &window(true, None));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![2, 3], false, true));
        let page = Page::settle(vec![3, 2], &window(true, Some("a")));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![2, 3], true, false));
    }

    #[test]
    fn forged_cursors_are_refused() {
        let shape = [Key::Text(String::new())];
        for text in ["", "x", "bm90IGEgY3Vyc29y", "💥", &BASE64_URL_SAFE_NO_PAD.encode("n7\u{1f}sa\0b")] {
            assert!(Cursor::decode(text, 'n', &shape, "after").is_err(), "{text}");
        }
        let other = Cursor { order: 'p', keys: vec![Key::Int(3)], id: 7 };
        assert!(Cursor::decode(&other.encode(), 'n', &shape, "after").is_err());
    }

    #[test]
    fn contradictions_are_named() {
        assert!(Window::new(Some(101), None, None, None).is_err());
        assert!(Window::new(Some(-1), None, None, None).is_err());
        assert!(Window::new(Some(1), None, Some(1), None).is_err());
        assert!(Window::new(None, Some("a".into()), None, Some("b".into())).is_err());
        assert!(Window::new(None, None, None, Some("b".into())).is_ok_and(|window| window.backwards));
    }
}
