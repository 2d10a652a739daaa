//! The numbers, dates and lists in the cells of both product formats.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
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

/// The moments between which a sale lasts. A bare date is its first moment at the start and its last at the end; what
/// names no time zone is in the shop's own.
pub(super) fn window(starts: Option<&str>, ends: Option<&str>, zone: Tz) -> Result<[Option<DateTime<Utc>>; 2], String> {
    let read = |text: &str, days| {
        moment(text, Days::new(days), zone).ok_or_else(|| format!("sale date \"{text}\" is not a date"))
    };
    let starts = starts.map(|text| read(text, 0)).transpose()?;
    let ends = ends.map(|text| read(text, 1)).transpose()?;
    match (starts, ends) {
        (Some(first), Some(last)) if last <= first => Err(format!("the sale ends ({last}) before it starts ({first})")),
        _ => Ok([starts, ends]),
    }
}

/// A moment that both databases can keep: `9999-12-31` stands for never, also where a day is added to it.
fn moment(text: &str, whole_day: Days, zone: Tz) -> Option<DateTime<Utc>> {
    let last = NaiveDate::from_ymd_opt(9999, 12, 31)?.and_hms_opt(23, 59, 59)?.and_utc();
    let found = unbounded(text, whole_day, zone)?;
    (found.year() >= 1 && found.year() <= 10_000).then_some(found.min(last))
}

fn unbounded(text: &str, whole_day: Days, zone: Tz) -> Option<DateTime<Utc>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return in_zone(date.checked_add_days(whole_day)?.and_time(NaiveTime::MIN), zone);
    }
    let zoned = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let local = || {
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    zoned.ok().or_else(|| local().and_then(|moment| in_zone(moment, zone)))
}

/// What a clock in a zone shows as a moment: the first that it may be, and past the hour that summer time leaves out.
fn in_zone(shown: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let later = || zone.from_local_datetime(&(shown.checked_add_signed(TimeDelta::hours(1))?)).earliest();
    zone.from_local_datetime(&shown).earliest().or_else(later).map(|moment| moment.to_utc())
}

/// What the bytes 0x80 to 0x9F are in Windows-1252, by the table of browsers; `NUL` where that has none.
const WINDOWS_1252: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// A text with the C1 control characters that come of reading Windows-1252 as Latin-1 as the characters they were, and
/// the first of them; those that never were one are left out. `None` where there are none.
pub(super) fn repaired(text: &str) -> Option<(String, char)> {
    let first = text.chars().find(|c| matches!(c, '\u{80}'..='\u{9f}'))?;
    let meant = |c: char| match u32::from(c).checked_sub(0x80).and_then(|place| WINDOWS_1252.get(place as usize)) {
        None => Some(c),
        Some('\0') => None,
        Some(meant) => Some(*meant),
    };
    Some((text.chars().filter_map(meant).collect(), first))
}

/// What was done about a text that was [`repaired`]; `what` is its place.
pub(super) fn repair_note(what: &str, first: char) -> String {
    format!(
        "{what} holds Windows-1252 read as Latin-1 (the control character {}) and was repaired",
        first.escape_unicode()
    )
}

/// A description of `WooCommerce`'s: it writes a line break as `\n` and a backslash as `\\`.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.next_if(|next| c == '\\' && matches!(next, '\\' | 'n')) {
            Some('n') => plain.push('\n'),
            _ => plain.push(c),
        }
    }
    plain
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
        let [_, ends] = window(None, Some("9999-12-31"), Tz::UTC).expect("a window");
        assert_eq!(ends.map(|ends| ends.to_rfc3339()).as_deref(), Some("9999-12-31T23:59:59+00:00"));
        assert!(window(None, Some("+20000-01-01"), Tz::UTC).is_err());
    }

    #[test]
    fn day_of_a_sale_is_a_day_of_the_shop() {
        let read = |starts, ends, zone| {
            let window = window(Some(starts), Some(ends), zone).expect("a window");
            window.map(|at| at.map(|at| at.to_rfc3339()).unwrap_or_default())
        };
        let nairobi = read("2026-01-01", "2026-01-31", Tz::Africa__Nairobi);
        assert_eq!(nairobi, ["2025-12-31T21:00:00+00:00", "2026-01-31T21:00:00+00:00"]);
        let berlin = read("2026-06-01 10:00:00", "2026-12-01T10:00:00Z", Tz::Europe__Berlin);
        assert_eq!(berlin, ["2026-06-01T08:00:00+00:00", "2026-12-01T10:00:00+00:00"]);
        // The night in which clocks go forward has no half past two.
        let gap = read("2026-03-29 02:30", "2026-10-25 02:30", Tz::Europe__Berlin);
        assert_eq!(gap, ["2026-03-29T01:30:00+00:00", "2026-10-25T00:30:00+00:00"]);
    }

    #[test]
    fn windows_1252_read_as_latin_1_is_repaired() {
        assert_eq!(repaired("Lamp\u{99} \u{93}x\u{94}\u{85}\u{81}"), Some(("Lamp™ “x”…".to_owned(), '\u{99}')));
        assert_eq!(repaired("Café ™ \n"), None);
    }

    #[test]
    fn line_breaks_and_backslashes_are_unescaped() {
        let read = [r"a\nb", r"C:\\new", r"\\\n", r"\d \", r"\\", r"\\n\n"].map(unescaped);
        assert_eq!(read, ["a\nb", r"C:\new", "\\\n", r"\d \", r"\", "\\n\n"]);
    }
}
