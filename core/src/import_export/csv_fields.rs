//! Parsing of numbers, dates and lists in CSV cells of both product formats, and the guard against formula injection.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Splits a list at `separator`, trims the parts and drops empty ones.
pub(super) fn split_list(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Splits a list at `separator`; a backslash escapes the separator or another backslash.
pub(super) fn split_escaped(text: &str, separator: char) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = characters.next_if(|next| character == '\\' && (*next == separator || *next == '\\'));
        match (escaped, names.last_mut()) {
            (None, _) if character == separator => names.push(String::new()),
            (escaped, Some(name)) => name.push(escaped.unwrap_or(character)),
            _ => {}
        }
    }
    names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Escapes a name for [`split_escaped`].
pub(super) fn escape_separator(text: &str, separator: char) -> String {
    text.replace('\\', "\\\\").replace(separator, &format!("\\{separator}"))
}

/// The characters with which a formula begins in a spreadsheet.
const FORMULA_PREFIXES: [char; 4] = ['=', '+', '-', '@'];

/// Guards a text against formula injection with a leading apostrophe; an already guarded text gets another one.
#[must_use]
pub fn guard_formula(text: &str) -> String {
    let is_formula = text.trim_start_matches('\'').starts_with(FORMULA_PREFIXES);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// Removes the apostrophe that [`guard_formula`] added.
pub(super) fn strip_formula_guard(text: &str) -> &str {
    let rest = text.strip_prefix('\'');
    rest.filter(|rest| rest.trim_start_matches('\'').starts_with(FORMULA_PREFIXES)).unwrap_or(text)
}

/// Guards a code for [`parse_code`].
pub(super) fn guard_code(text: &str) -> String {
    if text.starts_with('\'') { format!("'{text}") } else { guard_formula(text) }
}

/// Parses a SKU or a barcode. Shopify puts an apostrophe before numbers that a spreadsheet would round.
pub(super) fn parse_code(text: &str) -> Option<String> {
    let code = text.strip_prefix('\'').unwrap_or(text).trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// Parses a non-negative price; `field_label` names it in the error.
pub(super) fn parse_price(field_label: &str, text: &str) -> Result<Decimal, String> {
    match parse_number(text) {
        None => Err(format!("{field_label} \"{text}\" is not a number")),
        Some(amount) if amount.is_sign_negative() && !amount.is_zero() => {
            Err(format!("{field_label} \"{text}\" is negative"))
        }
        Some(amount) => Ok(amount),
    }
}

/// Parses a decimal number. Commas are accepted as thousands separators only, so `12,50` is not read as 1250.
pub(super) fn parse_number(text: &str) -> Option<Decimal> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer_part, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut groups = integer_part.split(',');
    let first = groups.next().unwrap_or_default();
    let has_invalid_grouping = integer_part.contains(',') && !(1..=3).contains(&first.len());
    if has_invalid_grouping
        || !is_digits(first)
        || !is_digits(fraction)
        || !groups.all(|group| group.len() == 3 && is_digits(group))
    {
        return None;
    }
    text.replace(',', "").parse().ok()
}

/// Parses a stock quantity, with a warning if it is corrected or ignored.
pub(super) fn parse_stock(text: &str, warnings: &mut Vec<String>) -> Option<i64> {
    match parse_number(text).filter(|pieces| pieces.fract().is_zero()).and_then(|pieces| pieces.to_i64()) {
        None => {
            warnings.push(format!("stock \"{text}\" is not a whole number and is left unchanged"));
            None
        }
        Some(pieces) if pieces < 0 => {
            warnings.push(format!("stock {pieces} is negative and is treated as 0"));
            Some(0)
        }
        pieces => pieces,
    }
}

/// Grams per weight unit.
pub(super) const GRAMS_PER_WEIGHT_UNIT: [(&str, Decimal); 4] = [
    ("kg", Decimal::ONE_THOUSAND),
    ("g", Decimal::ONE),
    ("lbs", Decimal::from_parts(45_359_237, 0, 0, false, 5)),
    ("oz", Decimal::from_parts(2_578_719_349, 6, 0, false, 9)),
];

/// Parses a weight in units of `grams` and returns whole grams, with a warning if it is ignored.
pub(super) fn parse_weight(text: &str, grams: Decimal, warnings: &mut Vec<String>) -> Option<i64> {
    let units = parse_number(text).filter(|units| !units.is_sign_negative());
    let weight = units.and_then(|units| units.checked_mul(grams)?.round().to_i64());
    if weight.is_none() {
        warnings.push(format!("weight \"{text}\" is not a non-negative number and is left unchanged"));
    }
    weight
}

/// Parses a boolean cell.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "-1" | "no" => Some(false),
        _ => None,
    }
}

/// Parses the start and the end of a sale. A date without a time includes the whole day; values without an offset are
/// in `time_zone`.
pub(super) fn parse_sale_window(
    starts: Option<&str>,
    ends: Option<&str>,
    time_zone: Tz,
) -> Result<[Option<DateTime<Utc>>; 2], String> {
    let parse_date = |text: &str, days| {
        parse_timestamp(text, Days::new(days), time_zone).ok_or_else(|| format!("sale date \"{text}\" is not a date"))
    };
    let starts = starts.map(|text| parse_date(text, 0)).transpose()?;
    let ends = ends.map(|text| parse_date(text, 1)).transpose()?;
    match (starts, ends) {
        (Some(start), Some(end)) if end <= start => Err(format!("the sale ends ({end}) before it starts ({start})")),
        _ => Ok([starts, ends]),
    }
}

/// Parses a timestamp within the range of both databases; later ones are clamped to the end of `9999-12-31`,
/// which means "never".
fn parse_timestamp(text: &str, day_offset: Days, time_zone: Tz) -> Option<DateTime<Utc>> {
    let latest = NaiveDate::from_ymd_opt(9999, 12, 31)?.and_hms_opt(23, 59, 59)?.and_utc();
    let timestamp = parse_unbounded_timestamp(text, day_offset, time_zone)?;
    (timestamp.year() >= 1 && timestamp.year() <= 10_000).then_some(timestamp.min(latest))
}

fn parse_unbounded_timestamp(text: &str, day_offset: Days, time_zone: Tz) -> Option<DateTime<Utc>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return resolve_local_time(date.checked_add_days(day_offset)?.and_time(NaiveTime::MIN), time_zone);
    }
    let with_offset = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let parse_local = || {
        ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    with_offset.ok().or_else(|| parse_local().and_then(|moment| resolve_local_time(moment, time_zone)))
}

/// Converts a local time to UTC. An ambiguous time is the earlier one; a time in a DST gap moves one hour forward.
fn resolve_local_time(local_time: NaiveDateTime, time_zone: Tz) -> Option<DateTime<Utc>> {
    let later = || time_zone.from_local_datetime(&(local_time.checked_add_signed(TimeDelta::hours(1))?)).earliest();
    time_zone.from_local_datetime(&local_time).earliest().or_else(later).map(|moment| moment.to_utc())
}

/// The characters of the bytes 0x80 to 0x9F in Windows-1252 (WHATWG table); `NUL` if unassigned.
const WINDOWS_1252: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// Replaces C1 control characters, the result of reading Windows-1252 as Latin-1, by the original characters;
/// unassigned ones are dropped. Returns the text and the first such character, or `None` if there are none.
pub(super) fn repair_windows_1252(text: &str) -> Option<(String, char)> {
    let first = text.chars().find(|c| matches!(c, '\u{80}'..='\u{9f}'))?;
    let decoded = |c: char| match u32::from(c).checked_sub(0x80).and_then(|index| WINDOWS_1252.get(index as usize)) {
        None => Some(c),
        Some('\0') => None,
        Some(decoded) => Some(*decoded),
    };
    Some((text.chars().filter_map(decoded).collect(), first))
}

/// Formats the warning about a text that [`repair_windows_1252`] changed.
pub(super) fn format_repair_note(location: &str, first: char) -> String {
    format!(
        "{location} contains Windows-1252 read as Latin-1 (the control character {}) and was repaired",
        first.escape_unicode()
    )
}

/// Decodes a `WooCommerce` description: `\n` is a line break and `\\` a backslash.
pub(super) fn unescape_description(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match characters.next_if(|next| c == '\\' && matches!(next, '\\' | 'n')) {
            Some('n') => output.push('\n'),
            _ => output.push(c),
        }
    }
    output
}

/// Decodes a `WooCommerce` cell: removes the apostrophe of its formula guard and replaces `&amp;`.
pub(super) fn decode_woocommerce_text(text: &str) -> String {
    let unguarded_text = text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA_PREFIXES));
    unguarded_text.unwrap_or(text).replace("&amp;", "&")
}

/// Splits a `WooCommerce` list at commas; `\,` is a literal comma.
pub(super) fn split_woocommerce_list(text: &str) -> Vec<String> {
    // No cell contains this character: rows with control characters are rejected.
    let protected = decode_woocommerce_text(text).replace("\\,", "\u{1}");
    let protected = split_list(&protected, ',').into_iter();
    protected.map(|part| part.replace('\u{1}', ",")).collect()
}

/// Returns the lowercase ASCII words of a text joined by `-`; accents and apostrophes are dropped.
pub(super) fn slugify_ascii(text: &str) -> String {
    let is_dropped = |c: char| is_combining_mark(c) || matches!(c, '\'' | '\u{2019}');
    let normalized: String = text.nfkd().filter(|c| !is_dropped(*c)).take(200).collect();
    let lower = normalized.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_name_round_trips() {
        for text in ["plain", "a, b", "C:\\dir", "\\", "\\,", ",", "\\\\, x,"] {
            assert_eq!(split_escaped(&escape_separator(text, ','), ','), [text]);
        }
        assert_eq!(split_escaped("a, b ,, AC\\DC", ','), ["a", "b", "AC\\DC"]);
    }

    #[test]
    fn formula_guard_round_trips() {
        for text in ["=1+1", "'=1+1", "''-x", "@a", "'tis", "plain", "", "'"] {
            let cell = guard_formula(text);
            assert!(!cell.starts_with(FORMULA_PREFIXES), "{cell}");
            assert_eq!(strip_formula_guard(&cell), text);
        }
        for text in ["-5", "'x", "''", "0012"] {
            assert_eq!(parse_code(&guard_code(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn sale_end_is_clamped_to_year_9999() {
        let [_, ends] = parse_sale_window(None, Some("9999-12-31"), Tz::UTC).expect("a window");
        assert_eq!(ends.map(|ends| ends.to_rfc3339()).as_deref(), Some("9999-12-31T23:59:59+00:00"));
        assert!(parse_sale_window(None, Some("+20000-01-01"), Tz::UTC).is_err());
    }

    #[test]
    fn sale_dates_use_the_shop_time_zone() {
        let format_window = |starts, ends, time_zone| {
            let window = parse_sale_window(Some(starts), Some(ends), time_zone).expect("a window");
            window.map(|moment| moment.map(|moment| moment.to_rfc3339()).unwrap_or_default())
        };
        let nairobi = format_window("2026-01-01", "2026-01-31", Tz::Africa__Nairobi);
        assert_eq!(nairobi, ["2025-12-31T21:00:00+00:00", "2026-01-31T21:00:00+00:00"]);
        let berlin = format_window("2026-06-01 10:00:00", "2026-12-01T10:00:00Z", Tz::Europe__Berlin);
        assert_eq!(berlin, ["2026-06-01T08:00:00+00:00", "2026-12-01T10:00:00+00:00"]);
        // 02:30 does not exist on the day when daylight saving time begins.
        let gap = format_window("2026-03-29 02:30", "2026-10-25 02:30", Tz::Europe__Berlin);
        assert_eq!(gap, ["2026-03-29T01:30:00+00:00", "2026-10-25T00:30:00+00:00"]);
    }

    #[test]
    fn windows_1252_read_as_latin_1_is_repaired() {
        assert_eq!(
            repair_windows_1252("Lamp\u{99} \u{93}x\u{94}\u{85}\u{81}"),
            Some(("Lamp™ “x”…".to_owned(), '\u{99}'))
        );
        assert_eq!(repair_windows_1252("Café ™ \n"), None);
    }

    #[test]
    fn line_breaks_and_backslashes_are_unescaped() {
        let unescaped_texts = [r"a\nb", r"C:\\new", r"\\\n", r"\d \", r"\\", r"\\n\n"].map(unescape_description);
        assert_eq!(unescaped_texts, ["a\nb", r"C:\new", "\\\n", r"\d \", r"\", "\\n\n"]);
    }
}
