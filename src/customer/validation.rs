//! Validation of profile and address input: text lengths, countries and phone numbers. All errors are collected.

use crate::base::{
    Country, Error, Patch, Result,
    error::{PublicError, PublicErrorCode},
    link_detection::contains_link,
};

/// Maximum length of phone number input in characters.
const MAX_PHONE_CHARS: usize = 40;

/// Validator that applies a patch field by field and collects the errors.
#[derive(Debug)]
pub struct Validator {
    path: &'static str,
    user_errors: Vec<PublicError>,
}

impl Validator {
    /// Creates a validator for the input at a dot-separated path.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self { path, user_errors: Vec::new() }
    }

    /// Adds an error for a field.
    pub fn add_error(&mut self, field: &str, message: impl Into<String>) {
        let field = self.path.split('.').chain([field]).map(str::to_owned).collect();
        self.user_errors.push(PublicError { code: PublicErrorCode::BadUserInput, field, message: message.into() });
    }

    /// Applies a text that may be empty.
    pub fn apply_text(&mut self, target: &mut String, patch: Patch, field: &str, limit: usize) {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => target.clear(),
            Patch::Set(text) => *target = self.clean_text(&text, field, limit),
        }
    }

    /// Applies a text that must not be empty.
    pub fn apply_required_text(&mut self, target: &mut String, patch: Patch, field: &str, limit: usize) {
        if patch == Patch::Unchanged {
            return;
        }
        let error_count = self.user_errors.len();
        self.apply_text(target, patch, field, limit);
        if target.is_empty() && self.user_errors.len() == error_count {
            self.add_error(field, "this must not be empty");
        }
    }

    /// Applies an optional text; an empty one becomes `None`.
    pub fn apply_optional_text(&mut self, target: &mut Option<String>, patch: Patch, field: &str, limit: usize) {
        let mut text = target.take().unwrap_or_default();
        self.apply_text(&mut text, patch, field, limit);
        *target = Some(text).filter(|text| !text.is_empty());
    }

    /// Applies an ISO 3166-1 alpha-2 country code.
    pub fn apply_country(&mut self, target: &mut String, patch: Patch, field: &str) {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => self.add_error(field, "this must not be empty"),
            Patch::Set(code) => match Country::from_code(&code) {
                Some(country) => *target = country.to_string(),
                None => self.add_error(field, "this is no country; give the two letters of ISO 3166-1, such as `KE`"),
            },
        }
    }

    /// Applies a phone number with a leading `+` or in the national format of `country`. Stored in E.164.
    pub fn apply_phone(&mut self, target: &mut Option<String>, patch: Patch, field: &str, country: Country) {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => *target = None,
            Patch::Set(text) if text.trim().is_empty() => *target = None,
            Patch::Set(text) => match normalize_phone(&text, country) {
                Some(number) => *target = Some(number),
                None => self.add_error(field, invalid_phone_message(country)),
            },
        }
    }

    /// Finishes the validation.
    ///
    /// # Errors
    /// Returns all collected errors.
    pub fn finish(self) -> Result<()> {
        Error::fail_if_any(self.user_errors)
    }

    fn clean_text(&mut self, text: &str, field: &str, limit: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length > limit {
            self.add_error(field, format!("this has {length} characters; at most {limit} will do"));
        }
        if text.chars().any(char::is_control) {
            self.add_error(field, "this must be one line, without control characters");
        }
        // These texts appear in notifications.
        if contains_link(text) {
            self.add_error(field, "this must not contain a link");
        }
        text.to_owned()
    }
}

fn invalid_phone_message(country: Country) -> String {
    format!(
        "this is no telephone number; write it with the country's code, such as +254712345678, or as it is dialled in {}",
        country.name()
    )
}

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
    let calling_code = phonenumber::metadata::DATABASE.by_id(&country.to_string())?.country_code();
    Some(format!("+{calling_code}{national}"))
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

    #[test]
    fn all_errors_are_reported_together() {
        let mut validator = Validator::new("input");
        let (mut name, mut city, mut code, mut number) = (String::new(), String::new(), "KE".to_owned(), None);
        validator.apply_text(&mut name, Patch::Set("é".repeat(101)), "firstName", 100);
        validator.apply_required_text(&mut city, Patch::Set("  ".into()), "city", 100);
        validator.apply_country(&mut code, Patch::Set("Kenya".into()), "countryCode");
        validator.apply_phone(&mut number, Patch::Set("nobody".into()), "phone", country("KE"));
        let user_errors =
            validator.finish().err().and_then(|error| error.into_public_errors().ok()).unwrap_or_default();
        let fields: Vec<_> = user_errors.iter().map(|user_error| user_error.field.join(".")).collect();
        assert_eq!(fields, ["input.firstName", "input.city", "input.countryCode", "input.phone"]);
    }

    #[test]
    fn unchanged_fields_keep_their_values() {
        let mut validator = Validator::new("input");
        let (mut city, mut company) = ("Nairobi".to_owned(), Some("Baobab Ltd".to_owned()));
        validator.apply_required_text(&mut city, Patch::Unchanged, "city", 100);
        validator.apply_optional_text(&mut company, Patch::Unchanged, "company", 100);
        assert_eq!((city.as_str(), company.as_deref()), ("Nairobi", Some("Baobab Ltd")));
        validator.apply_optional_text(&mut company, Patch::Clear, "company", 100);
        assert_eq!(company, None);
        assert!(validator.finish().is_ok());
    }
}
