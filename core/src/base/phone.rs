//! Phone numbers: E.164, and prefixes for searches.

use super::Country;

/// Maximum length of phone number input in characters.
const MAX_PHONE_CHARS: usize = 40;

/// Returns a phone number in E.164, such as `+254712345678`; `None` if it is invalid or has an extension.
#[must_use]
pub fn normalize_phone(text: &str, country: Country) -> Option<String> {
    let text = text.trim();
    let is_allowed = |c: char| c.is_ascii_digit() || " +-()./".contains(c);
    if text.chars().count() > MAX_PHONE_CHARS || !text.chars().all(is_allowed) {
        return None;
    }
    let number = phonenumber::parse(country.to_string().parse().ok(), text).ok()?;
    let is_complete = phonenumber::is_valid(&number) && number.extension().is_none();
    is_complete.then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

/// Returns the country of a phone number in E.164; `None` if it has none.
#[must_use]
pub fn find_phone_country(number: &str) -> Option<Country> {
    let number = phonenumber::parse(None, number).ok()?;
    Country::from_code(number.country().id()?.as_ref())
}

/// Returns the E.164 prefix of a partially typed phone number; `None` if the text is not a phone number.
#[must_use]
pub fn normalize_phone_prefix(text: &str, country: Country) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_allowed = text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    if digits.is_empty() || !is_allowed {
        return None;
    }
    let Some(national) = digits.strip_prefix('0').filter(|_| !text.trim_start().starts_with('+')) else {
        return Some(format!("+{digits}"));
    };
    Some(format!("{}{national}", calling_code(country)?))
}

/// Returns the calling code of a country, such as `+254`; `None` if it has none.
#[must_use]
pub fn calling_code(country: Country) -> Option<String> {
    let metadata = phonenumber::metadata::DATABASE.by_id(&country.to_string())?;
    Some(format!("+{}", metadata.country_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        Country::from_code(code).unwrap_or_else(|| panic!("invalid country code {code}"))
    }

    #[test]
    fn phone_numbers_are_normalized_to_e164() {
        let number = |text: &str| normalize_phone(text, country("KE"));
        for text in ["0712 345678", "+254 712-345-678", " (0712) 345.678 ", "+254712345678"] {
            assert_eq!(number(text).as_deref(), Some("+254712345678"), "{text}");
        }
        assert_eq!(number("+44 20 7946 0958").as_deref(), Some("+442079460958"));
        assert_eq!(normalize_phone("030 901820", country("DE")).as_deref(), Some("+4930901820"));
        let long = "1".repeat(500);
        for text in
            ["", "12", "0712", "call me", "+999 1234567", "+254712345678 ext. 5", ";phone-context=", "٠٧١٢", &long]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn partial_phone_number_yields_search_prefix() {
        let prefix = |text: &str| normalize_phone_prefix(text, country("KE"));
        assert_eq!(prefix("0712 3").as_deref(), Some("+2547123"));
        assert_eq!(prefix("+254 71").as_deref(), Some("+25471"));
        assert_eq!(prefix("25471").as_deref(), Some("+25471"));
        assert_eq!(prefix("wanjiku"), None);
        assert_eq!(prefix("+"), None);
    }
}
