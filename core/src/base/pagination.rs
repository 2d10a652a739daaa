//! Keyset pagination: page requests and cursors that stay valid when rows are inserted.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};

use super::{Error, Result};

/// The largest page size.
pub const MAX_PAGE_SIZE: usize = 100;
/// The default page size.
pub const DEFAULT_PAGE_SIZE: usize = 20;

/// The requested part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The page size.
    pub size: usize,
    /// Whether the page is read from the end towards the beginning.
    pub backwards: bool,
    /// The cursor that the page starts after.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Validates the four arguments of a connection.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the arguments contradict each other or request more than [`MAX_PAGE_SIZE`].
    pub fn new(first: Option<i32>, after: Option<String>, last: Option<i32>, before: Option<String>) -> Result<Self> {
        match (first, last, after, before) {
            (Some(_), Some(_), _, _) => Err(Error::bad_input("last", "use `first` or `last`, not both")),
            (_, _, Some(_), Some(_)) => Err(Error::bad_input("before", "use `after` or `before`, not both")),
            (Some(_), _, _, Some(_)) => Err(Error::bad_input("before", "`before` can be used only with `last`")),
            (_, Some(_), Some(_), _) => Err(Error::bad_input("after", "`after` can be used only with `first`")),
            (_, last @ Some(_), None, before) | (None, last, None, before @ Some(_)) => {
                Ok(Self { size: validate_page_size("last", last)?, backwards: true, cursor: before })
            }
            (first, None, after, None) => {
                Ok(Self { size: validate_page_size("first", first)?, backwards: false, cursor: after })
            }
        }
    }
}

/// Validates a page size; `None` is [`DEFAULT_PAGE_SIZE`].
///
/// # Errors
/// Returns `BadUserInput` if it is not between 0 and [`MAX_PAGE_SIZE`].
pub fn validate_page_size(field: &str, requested: Option<i32>) -> Result<usize> {
    let Some(requested) = requested else { return Ok(DEFAULT_PAGE_SIZE) };
    usize::try_from(requested).ok().filter(|requested| *requested <= MAX_PAGE_SIZE).ok_or_else(|| {
        Error::bad_input(field, format!("`{field}` must be from 0 to {MAX_PAGE_SIZE}; it is {requested}"))
    })
}

/// The value of one sort column in a cursor.
#[derive(Debug, Clone, PartialEq)]
pub enum CursorValue {
    /// An integer: a price, a score.
    Int(i64),
    /// A flag.
    Bool(bool),
    /// A time.
    Time(DateTime<Utc>),
    /// A normalized name.
    Text(String),
}

/// The type of a [`CursorValue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorType {
    /// An integer.
    Int,
    /// A flag.
    Bool,
    /// A time.
    Time,
    /// A text.
    Text,
}

/// The position of a row in a sort order: tag of the order, values of the sort columns, id.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The tag of the sort order.
    pub sort_tag: char,
    /// The values of the sort columns.
    pub values: Vec<CursorValue>,
    /// The row's id, as tie-breaker.
    pub id: i64,
}

impl Cursor {
    /// Returns the encoded cursor.
    #[must_use]
    pub fn encode(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("{}{}", self.sort_tag, self.id);
        for cursor_value in &self.values {
            // Writing to a String cannot fail.
            let _ = match cursor_value {
                CursorValue::Int(value) => write!(text, "\u{1f}i{value}"),
                CursorValue::Bool(value) => write!(text, "\u{1f}f{}", u8::from(*value)),
                CursorValue::Time(value) => write!(text, "\u{1f}t{}", value.timestamp_micros()),
                CursorValue::Text(value) => write!(text, "\u{1f}s{value}"),
            };
        }
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    /// Decodes a cursor of the given sort order with values of the given types; `field` is the input path for errors.
    ///
    /// # Errors
    /// Returns `BadUserInput` if it is not a cursor of this sort order.
    pub fn decode(text: &str, sort_tag: char, types: &[CursorType], field: &str) -> Result<Self> {
        let invalid_cursor =
            || Error::bad_input(field, "this is not a cursor of this list; use one from its `pageInfo` or `edges`");
        let cursor = Self::parse(text).ok_or_else(invalid_cursor)?;
        if cursor.sort_tag != sort_tag {
            let message = "this cursor belongs to another sort order; start again without it";
            return Err(Error::bad_input(field, message));
        }
        let has_expected_types = cursor.values.iter().map(CursorValue::value_type).eq(types.iter().copied());
        if has_expected_types { Ok(cursor) } else { Err(invalid_cursor()) }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.split('\u{1f}');
        let mut prefix = parts.next()?.chars();
        let sort_tag = prefix.next()?;
        let id = prefix.as_str().parse().ok()?;
        let values = parts.map(CursorValue::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { sort_tag, values, id })
    }
}

impl CursorValue {
    const fn value_type(&self) -> CursorType {
        match self {
            Self::Int(_) => CursorType::Int,
            Self::Bool(_) => CursorType::Bool,
            Self::Time(_) => CursorType::Time,
            Self::Text(_) => CursorType::Text,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut encoded = text.chars();
        let type_tag = encoded.next()?;
        let encoded = encoded.as_str();
        match type_tag {
            'i' => encoded.parse().ok().map(Self::Int),
            'f' => matches!(encoded, "0" | "1").then(|| Self::Bool(encoded == "1")),
            't' => {
                encoded.parse().ok().and_then(DateTime::from_timestamp_micros).filter(is_storable_time).map(Self::Time)
            }
            // PostgreSQL rejects null bytes in text.
            's' => (!encoded.contains('\0')).then(|| Self::Text(encoded.to_owned())),
            _ => None,
        }
    }
}

/// Returns whether both databases can store the time.
#[must_use]
pub fn is_storable_time(time: &DateTime<Utc>) -> bool {
    use chrono::Datelike;
    (1..=9999).contains(&time.year())
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows in list order, whichever direction they were read in.
    pub rows: Vec<T>,
    /// Whether a next page exists.
    pub has_next: bool,
    /// Whether a previous page exists.
    pub has_previous: bool,
}

impl<T> Page<T> {
    /// Creates a page from rows read in the request's direction, one more than its size if another page exists.
    #[must_use]
    pub fn from_rows(mut rows: Vec<T>, request: &PageRequest) -> Self {
        let has_more = rows.len() > request.size;
        rows.truncate(request.size);
        let has_cursor = request.cursor.is_some();
        if request.backwards {
            rows.reverse();
            return Self { rows, has_next: has_cursor, has_previous: has_more };
        }
        Self { rows, has_next: has_more, has_previous: has_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_round_trips() {
        let cursor = Cursor {
            sort_tag: 'n',
            values: vec![CursorValue::Text("cafe creme".into()), CursorValue::Bool(true)],
            id: 7,
        };
        let types = [CursorType::Text, CursorType::Bool];
        assert_eq!(Cursor::decode(&cursor.encode(), 'n', &types, "after").ok(), Some(cursor));
    }

    #[test]
    fn cursor_values_of_every_type_round_trip() {
        let parse_time = |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
        let values = vec![
            CursorValue::Int(-3),
            CursorValue::Bool(false),
            CursorValue::Time(parse_time("2026-11-01T09:00:00.000001Z")),
        ];
        let cursor = Cursor { sort_tag: 'n', values, id: 7 };
        let types = [CursorType::Int, CursorType::Bool, CursorType::Time];
        assert_eq!(Cursor::decode(&cursor.encode(), 'n', &types, "after").ok(), Some(cursor.clone()));
        assert!(Cursor::decode(&cursor.encode(), 'n', &types[..2], "after").is_err());
        // A time that a database cannot store.
        let unstorable = Cursor {
            values: vec![CursorValue::Time(parse_time("9999-12-31T23:59:59Z") + chrono::TimeDelta::days(1))],
            ..cursor
        };
        assert!(Cursor::decode(&unstorable.encode(), 'n', &[CursorType::Time], "after").is_err());
    }

    #[test]
    fn page_of_one_row_more_than_its_size_has_another_page() {
        let page_request =
            |backwards, cursor: Option<&str>| PageRequest { size: 2, backwards, cursor: cursor.map(str::to_owned) };
        let page = Page::from_rows(vec![1, 2, 3], &page_request(false, None));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![1, 2], true, false));
        let page = Page::from_rows(vec![1, 2], &page_request(false, Some("a")));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![1, 2], false, true));
        let page = Page::from_rows(vec![3, 2, 1], &page_request(true, None));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![2, 3], false, true));
        let page = Page::from_rows(vec![3, 2], &page_request(true, Some("a")));
        assert_eq!((page.rows, page.has_next, page.has_previous), (vec![2, 3], true, false));
    }

    #[test]
    fn forged_cursor_is_rejected() {
        let types = [CursorType::Text];
        for text in ["", "x", "bm90IGEgY3Vyc29y", "💥", &BASE64_URL_SAFE_NO_PAD.encode("n7\u{1f}sa\0b")] {
            assert!(Cursor::decode(text, 'n', &types, "after").is_err(), "{text}");
        }
        let other_order = Cursor { sort_tag: 'p', values: vec![CursorValue::Int(3)], id: 7 };
        assert!(Cursor::decode(&other_order.encode(), 'n', &types, "after").is_err());
    }

    #[test]
    fn contradictory_page_arguments_are_rejected() {
        assert!(PageRequest::new(Some(101), None, None, None).is_err());
        assert!(PageRequest::new(Some(-1), None, None, None).is_err());
        assert!(PageRequest::new(Some(1), None, Some(1), None).is_err());
        assert!(PageRequest::new(None, Some("a".into()), None, Some("b".into())).is_err());
        assert!(PageRequest::new(None, None, None, Some("b".into())).is_ok_and(|request| request.backwards));
    }
}
