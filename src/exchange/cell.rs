//! The numbers, dates and lists in the cells of both product formats.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::catalog::Sale;

/// A regular price and a sale, each as far as the file says it.
pub(super) type Prices = (Option<Decimal>, Option<Option<Sale>>);

/// What stands between the marks, blanks left out.
pub(super) fn parts(text: &str, mark: char) -> Vec<String> {
    text.split(mark).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What stands between the marks where a backslash lets a mark, or a backslash, be part of a name.
pub(super) fn names(text: &str, mark: char) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && (*next == mark || *next == '\\'));
        match (escaped, names.last_mut()) {
            (None, _) if letter == mark => names.push(String::new()),
            (escaped, Some(name)) => name.push(escaped.unwrap_or(letter)),
            _ => {}
        }
    }
    names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// A name as [`names`] reads it.
pub(super) fn name(text: &str, mark: char) -> String {
    text.replace('\\', "\\\\").replace(mark, &format!("\\{mark}"))
}

/// What a spreadsheet would take for the start of a formula.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

/// A text that no spreadsheet takes for a formula: an apostrophe before it, and before one that has it already.
pub(super) fn guarded(text: &str) -> String {
    let formula = text.trim_start_matches('\'').starts_with(FORMULA);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// A text as [`guarded`] found it.
pub(super) fn unguarded(text: &str) -> &str {
    let rest = text.strip_prefix('\'');
    rest.filter(|rest| rest.trim_start_matches('\'').starts_with(FORMULA)).unwrap_or(text)
}

/// A code as [`code`] reads it.
pub(super) fn guarded_code(text: &str) -> String {
    if text.starts_with('\'') { format!("'{text}") } else { guarded(text) }
}

/// A SKU or a barcode: Shopify puts an apostrophe before a number that a spreadsheet would round.
pub(super) fn code(text: &str) -> Option<String> {
    let code = text.strip_prefix('\'').unwrap_or(text).trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// A price that can be charged; `what` is its name in the reason.
pub(super) fn price(what: &str, text: &str) -> Result<Decimal, String> {
    match number(text) {
        None => Err(format!("{what} \"{text}\" is not a number")),
        Some(amount) if amount.is_sign_negative() && !amount.is_zero() => {
            Err(format!("{what} \"{text}\" is below zero"))
        }
        Some(amount) => Ok(amount),
    }
}

/// A plain number; commas only where they part thousands, so that `12,50` is not taken for 1250.
pub(super) fn number(text: &str) -> Option<Decimal> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',') && !(1..=3).contains(&first.len());
    if grouped || !digits(first) || !digits(fraction) || !groups.all(|group| group.len() == 3 && digits(group)) {
        return None;
    }
    text.replace(',', "").parse().ok()
}

/// A number of pieces and, where it was not taken as written, what was done.
pub(super) fn stock(text: &str) -> (Option<i64>, Option<String>) {
    match number(text).filter(|pieces| pieces.fract().is_zero()).and_then(|pieces| pieces.to_i64()) {
        None => (None, Some(format!("stock \"{text}\" is not a whole number and is left as it is"))),
        Some(pieces) if pieces < 0 => (Some(0), Some(format!("stock {pieces} is below zero and is taken as 0"))),
        pieces => (pieces, None),
    }
}

/// Grams in a unit of weight.
pub(super) const UNITS: [(&str, Decimal); 4] = [
    ("kg", Decimal::ONE_THOUSAND),
    ("g", Decimal::ONE),
    ("lbs", Decimal::from_parts(45_359_237, 0, 0, false, 5)),
    ("oz", Decimal::from_parts(2_578_719_349, 6, 0, false, 9)),
];

/// A weight of `grams` a unit, in whole grams.
pub(super) fn weight(text: &str, grams: Decimal) -> (Option<i64>, Option<String>) {
    match number(text)
        .filter(|units| !units.is_sign_negative())
        .and_then(|units| units.checked_mul(grams)?.round().to_i64())
    {
        None => (None, Some(format!("weight \"{text}\" is not a number from zero up and is left as it is"))),
        grams => (grams, None),
    }
}

/// A cell that says yes or no.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "-1" | "no" => Some(false),
        _ => None,
    }
}

/// The moments between which a sale lasts. A bare date is its first moment at the start and its last at the end.
pub(super) fn window(starts: Option<&str>, ends: Option<&str>) -> Result<[Option<DateTime<Utc>>; 2], String> {
    let read =
        |text: &str, days| moment(text, Days::new(days)).ok_or_else(|| format!("sale date \"{text}\" is not a date"));
    let starts = starts.map(|text| read(text, 0)).transpose()?;
    let ends = ends.map(|text| read(text, 1)).transpose()?;
    match (starts, ends) {
        (Some(first), Some(last)) if last <= first => Err(format!("the sale ends ({last}) before it starts ({first})")),
        _ => Ok([starts, ends]),
    }
}

/// A moment that both databases can keep: `9999-12-31` stands for never, also where a day is added to it.
fn moment(text: &str, whole_day: Days) -> Option<DateTime<Utc>> {
    let last = NaiveDate::from_ymd_opt(9999, 12, 31)?.and_hms_opt(23, 59, 59)?.and_utc();
    let found = unbounded(text, whole_day)?;
    (found.year() >= 1 && found.year() <= 10_000).then_some(found.min(last))
}

fn unbounded(text: &str, whole_day: Days) -> Option<DateTime<Utc>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.checked_add_days(whole_day)?.and_time(NaiveTime::MIN).and_utc());
    }
    let zoned = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let local = || {
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    zoned.ok().or_else(|| local().map(|moment| moment.and_utc()))
}

/// What `WooCommerce` wrote: it puts an apostrophe before what a spreadsheet would take for a formula,
/// and keeps the `&amp;` of its database.
pub(super) fn plain(text: &str) -> String {
    let bare = text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA));
    bare.unwrap_or(text).replace("&amp;", "&")
}

/// What `WooCommerce` put between commas; one that belongs to a name is written `\,`.
pub(super) fn list(text: &str) -> Vec<String> {
    // No cell holds this character: a row with one is refused.
    let kept = plain(text).replace("\\,", "\u{1}");
    let kept = parts(&kept, ',').into_iter();
    kept.map(|part| part.replace('\u{1}', ",")).collect()
}

/// The lowercase ASCII words of a text joined by `-`, an accent or apostrophe left out.
pub(super) fn words(text: &str) -> String {
    let dropped = |c: char| is_combining_mark(c) || matches!(c, '\'' | '\u{2019}');
    let kept: String = text.nfkd().filter(|c| !dropped(*c)).take(200).collect();
    let lower = kept.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for text in ["plain", "a, b", "C:\\dir", "\\", "\\,", ",", "\\\\, x,"] {
            assert_eq!(names(&name(text, ','), ','), [text]);
        }
        assert_eq!(names("a, b ,, AC\\DC", ','), ["a", "b", "AC\\DC"]);
    }

    #[test]
    fn no_text_is_a_formula_and_none_is_changed() {
        for text in ["=1+1", "'=1+1", "''-x", "@a", "'tis", "plain", "", "'"] {
            let cell = guarded(text);
            assert!(!cell.starts_with(FORMULA), "{cell}");
            assert_eq!(unguarded(&cell), text);
        }
        for text in ["-5", "'x", "''", "0012"] {
            assert_eq!(code(&guarded_code(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_sale_without_end_ends_with_the_calendar() {
        let [_, ends] = window(None, Some("9999-12-31")).expect("a window");
        assert_eq!(ends.map(|ends| ends.to_rfc3339()).as_deref(), Some("9999-12-31T23:59:59+00:00"));
        assert!(window(None, Some("+20000-01-01")).is_err());
    }
}
