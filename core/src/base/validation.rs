//! Validation of input: all user errors are gathered, each with the path of its field, so that they are reported
//! together.

use std::{fmt::Display, ops::RangeInclusive};

use super::{
    Country, Error, Patch, Result,
    error::{ErrorFacts, PublicError, PublicErrorCode},
    link_detection::contains_link,
    phone, text,
};

/// Maximum length of a note, in characters.
pub const MAX_NOTE_LENGTH: usize = 1000;

/// The version of a row that the caller expects (optimistic locking).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// The version.
    pub version: i32,
    /// The path of this input.
    pub path: String,
}

/// Returns the trimmed text of a note, which may have several lines.
///
/// # Errors
/// Returns `BadUserInput` if it is longer than [`MAX_NOTE_LENGTH`] or contains control characters.
pub fn validate_note(note: &str, path: &str) -> Result<String> {
    let note = note.trim();
    let length = note.chars().count();
    if length > MAX_NOTE_LENGTH {
        let message = format!("this has {length} characters; at most {MAX_NOTE_LENGTH} will do");
        return Err(Error::bad_input(path, message));
    }
    if text::has_control_characters(note) {
        return Err(Error::bad_input(path, "this must be without control characters"));
    }
    Ok(note.to_owned())
}

/// Gathers the user errors of an input.
#[derive(Debug, Default)]
pub struct Validator {
    errors: Vec<PublicError>,
}

impl Validator {
    /// Returns the scope of a dot-separated path; empty for the whole request.
    pub fn at(&mut self, path: impl Into<String>) -> InputScope<'_> {
        InputScope { path: path.into(), errors: &mut self.errors }
    }

    /// Returns the value of a result, or gathers its user errors.
    ///
    /// # Errors
    /// Returns errors that are not the user's.
    pub fn collect<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.errors.extend(error.into_public_errors()?);
                Ok(None)
            }
        }
    }

    /// Adds the errors of another validator.
    pub fn append(&mut self, other: Self) {
        self.errors.extend(other.errors);
    }

    /// Adds an error if the expected version is not the current one.
    pub fn check_version(&mut self, expected: Option<&ExpectedVersion>, current: i32) {
        if let Some(ExpectedVersion { version, path }) = expected.filter(|expected| expected.version != current) {
            let message = format!("it was changed since you read it: its version is {current}, not {version}");
            self.at(path).reject_as(PublicErrorCode::VersionConflict, "", message);
        }
    }

    /// Returns whether there are errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns the gathered errors.
    #[must_use]
    pub fn into_errors(self) -> Vec<PublicError> {
        self.errors
    }

    /// Finishes the validation.
    ///
    /// # Errors
    /// Returns all gathered errors.
    pub fn finish(self) -> Result<()> {
        Error::fail_if_any(self.errors)
    }
}

/// The part of an input below one path. Fields are named relative to it; an empty name is the path itself.
#[derive(Debug)]
pub struct InputScope<'a> {
    path: String,
    errors: &'a mut Vec<PublicError>,
}

impl InputScope<'_> {
    /// Returns the scope of a field, or of a dot-separated path below this one.
    pub fn at(&mut self, field: &str) -> InputScope<'_> {
        InputScope { path: join_path(&self.path, field), errors: &mut *self.errors }
    }

    /// Returns the scope of a list item.
    #[must_use]
    pub fn index(self, index: usize) -> Self {
        Self { path: join_path(&self.path, &index.to_string()), errors: self.errors }
    }

    /// Returns whether there are errors, here or elsewhere in the input.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Adds a `BadUserInput` error.
    pub fn reject(&mut self, field: &str, message: impl Into<String>) {
        self.reject_as(PublicErrorCode::BadUserInput, field, message);
    }

    /// Adds an error with a code.
    pub fn reject_as(&mut self, code: PublicErrorCode, field: &str, message: impl Into<String>) {
        self.errors.push(PublicError::new(code, &join_path(&self.path, field), message));
    }

    /// Adds an error with a code and facts.
    pub fn reject_with_facts(
        &mut self,
        code: PublicErrorCode,
        field: &str,
        message: impl Into<String>,
        facts: ErrorFacts,
    ) {
        self.errors.push(PublicError::new(code, &join_path(&self.path, field), message).with_facts(facts));
    }

    /// Returns the trimmed text, which must be one line of at most `max_chars` characters.
    pub fn text(&mut self, field: &str, text: &str, max_chars: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length > max_chars {
            self.reject(field, format!("at most {max_chars} characters; this has {length}"));
        }
        if text.contains(char::is_control) {
            self.reject(field, "this must be one line of text: no line breaks or other control characters");
        }
        text.to_owned()
    }

    /// Checks that a list has at most `max_items` items.
    pub fn check_count(&mut self, field: &str, length: usize, max_items: usize) {
        if length > max_items {
            self.reject(field, format!("at most {max_items}; there are {length}"));
        }
    }

    /// Checks that a number is in a range.
    pub fn check_range<T: PartialOrd + Display>(&mut self, field: &str, number: &T, range: &RangeInclusive<T>) {
        if !range.contains(number) {
            self.reject(field, format!("a number from {} to {}", range.start(), range.end()));
        }
    }

    /// Applies a text that may be empty. It appears in notifications, so it must not contain a link.
    pub fn apply_text(&mut self, target: &mut String, patch: Patch, field: &str, max_chars: usize) {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => target.clear(),
            Patch::Set(text) => {
                *target = self.text(field, &text, max_chars);
                if contains_link(target) {
                    self.reject(field, "this must not contain a link");
                }
            }
        }
    }

    /// Applies a text as [`apply_text`](Self::apply_text) does; it must not be empty.
    pub fn apply_required_text(&mut self, target: &mut String, patch: Patch, field: &str, max_chars: usize) {
        if patch.is_unchanged() {
            return;
        }
        let error_count = self.errors.len();
        self.apply_text(target, patch, field, max_chars);
        if target.is_empty() && self.errors.len() == error_count {
            self.reject(field, "this must not be empty");
        }
    }

    /// Applies a text as [`apply_text`](Self::apply_text) does; an empty one becomes `None`.
    pub fn apply_optional_text(&mut self, target: &mut Option<String>, patch: Patch, field: &str, max_chars: usize) {
        let mut text = target.take().unwrap_or_default();
        self.apply_text(&mut text, patch, field, max_chars);
        *target = Some(text).filter(|text| !text.is_empty());
    }

    /// Applies an ISO 3166-1 alpha-2 country code.
    pub fn apply_country(&mut self, target: &mut String, patch: Patch, field: &str) {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => self.reject(field, "this must not be empty"),
            Patch::Set(code) => match Country::from_code(&code) {
                Some(country) => *target = country.to_string(),
                None => self.reject(field, "this is not a country; give its two-letter ISO 3166-1 code, such as `KE`"),
            },
        }
    }

    /// Applies a phone number with a leading `+` or in the national format of `country`. Stored in E.164.
    pub fn apply_phone(&mut self, target: &mut Option<String>, patch: Patch, field: &str, country: Country) {
        match patch {
            Patch::Unchanged => {}
            Patch::Set(text) if !text.trim().is_empty() => match phone::normalize_phone(&text, country) {
                Some(number) => *target = Some(number),
                None => self.reject(
                    field,
                    format!(
                        "this is not a phone number; write it with the country code, such as +254712345678, \
                         or as it is dialed in {}",
                        country.name()
                    ),
                ),
            },
            Patch::Clear | Patch::Set(_) => *target = None,
        }
    }
}

fn join_path(path: &str, field: &str) -> String {
    if path.is_empty() || field.is_empty() { format!("{path}{field}") } else { format!("{path}.{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        Country::from_code(code).unwrap_or_else(|| panic!("invalid country code {code}"))
    }

    fn error_paths(validator: Validator) -> Vec<String> {
        validator.into_errors().iter().map(|error| error.field.join(".")).collect()
    }

    #[test]
    fn all_errors_are_reported_together() {
        let mut validator = Validator::default();
        let mut input = validator.at("input");
        let (mut name, mut city, mut code, mut number) = (String::new(), String::new(), "KE".to_owned(), None);
        input.apply_text(&mut name, Patch::Set("é".repeat(101)), "firstName", 100);
        input.apply_required_text(&mut city, Patch::Set("  ".into()), "city", 100);
        input.apply_country(&mut code, Patch::Set("Kenya".into()), "countryCode");
        input.apply_phone(&mut number, Patch::Set("nobody".into()), "phone", country("KE"));
        assert_eq!(error_paths(validator), ["input.firstName", "input.city", "input.countryCode", "input.phone"]);
    }

    #[test]
    fn unchanged_fields_keep_their_values() {
        let mut validator = Validator::default();
        let mut input = validator.at("input");
        let (mut city, mut company) = ("Nairobi".to_owned(), Some("Baobab Ltd".to_owned()));
        input.apply_required_text(&mut city, Patch::Unchanged, "city", 100);
        input.apply_optional_text(&mut company, Patch::Unchanged, "company", 100);
        assert_eq!((city.as_str(), company.as_deref()), ("Nairobi", Some("Baobab Ltd")));
        input.apply_optional_text(&mut company, Patch::Clear, "company", 100);
        assert_eq!(company, None);
        assert!(validator.finish().is_ok());
    }

    #[test]
    fn paths_of_nested_input_are_joined() {
        let mut validator = Validator::default();
        let mut input = validator.at("");
        input.reject("", "whole request");
        let mut lines = input.at("lines");
        lines.at("").index(2).reject("quantity", "nested");
        lines.reject("3.quantity", "dotted");
        assert_eq!(error_paths(validator), ["", "lines.2.quantity", "lines.3.quantity"]);
    }

    #[test]
    fn user_errors_of_a_result_are_collected() {
        let mut validator = Validator::default();
        assert_eq!(validator.collect(Ok(1)).ok(), Some(Some(1)));
        assert_eq!(validator.collect::<i32>(Err(Error::bad_input("a", "x"))).ok(), Some(None));
        assert!(validator.collect::<i32>(Err(Error::internal("testing", "x"))).is_err());
        assert_eq!(error_paths(validator), ["a"]);
    }
}
