//! What people may say of themselves: texts of a length, countries and telephone numbers. Everything wrong at once.

use crate::base::{
    Country, Error, Patch, Result,
    error::{Code, Problem},
    link::contains_link,
};

/// Longer is no telephone number, however it is written. Characters.
const PHONE_LIMIT: usize = 40;

/// Takes in what a partial change says, field by field, and gathers what is wrong with it.
#[derive(Debug)]
pub struct Check {
    at: &'static str,
    problems: Vec<Problem>,
}

impl Check {
    /// Of an input that stands at this path, a dot between its parts.
    #[must_use]
    pub const fn new(at: &'static str) -> Self {
        Self { at, problems: Vec::new() }
    }

    /// Says what is wrong with a field.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        let field = self.at.split('.').chain([field]).map(str::to_owned).collect();
        self.problems.push(Problem { code: Code::BadUserInput, field, message: message.into() });
    }

    /// A text that may be empty.
    pub fn text(&mut self, over: &mut String, said: Patch, field: &str, limit: usize) {
        match said {
            Patch::Keep => {}
            Patch::Clear => over.clear(),
            Patch::Set(text) => *over = self.clean(&text, field, limit),
        }
    }

    /// A text that must be there.
    pub fn must(&mut self, over: &mut String, said: Patch, field: &str, limit: usize) {
        if said == Patch::Keep {
            return;
        }
        let before = self.problems.len();
        self.text(over, said, field, limit);
        if over.is_empty() && self.problems.len() == before {
            self.wrong(field, "this must not be empty");
        }
    }

    /// A text that may be missing. An empty one is.
    pub fn may(&mut self, over: &mut Option<String>, said: Patch, field: &str, limit: usize) {
        let mut text = over.take().unwrap_or_default();
        self.text(&mut text, said, field, limit);
        *over = Some(text).filter(|text| !text.is_empty());
    }

    /// A country.
    pub fn country(&mut self, over: &mut String, said: Patch, field: &str) {
        match said {
            Patch::Keep => {}
            Patch::Clear => self.wrong(field, "this must not be empty"),
            Patch::Set(code) => match Country::named(&code) {
                Some(country) => *over = country.to_string(),
                None => self.wrong(field, "this is no country; give the two letters of ISO 3166-1, such as `KE`"),
            },
        }
    }

    /// A telephone number: one that begins with `+`, or one as it is dialled in a country. Kept in E.164.
    pub fn phone(&mut self, over: &mut Option<String>, said: Patch, field: &str, country: Country) {
        match said {
            Patch::Keep => {}
            Patch::Clear => *over = None,
            Patch::Set(text) if text.trim().is_empty() => *over = None,
            Patch::Set(text) => match phone(&text, country) {
                Some(number) => *over = Some(number),
                None => self.wrong(field, wrong_phone(country)),
            },
        }
    }

    /// Whether all was well.
    ///
    /// # Errors
    /// With everything that was not.
    pub fn done(self) -> Result<()> {
        Error::all(self.problems)
    }

    fn clean(&mut self, text: &str, field: &str, limit: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length > limit {
            self.wrong(field, format!("this has {length} characters; at most {limit} will do"));
        }
        if text.chars().any(char::is_control) {
            self.wrong(field, "this must be one line, without control characters");
        }
        // These texts stand in messages of the shop's.
        if contains_link(text) {
            self.wrong(field, "this must not contain a link");
        }
        text.to_owned()
    }
}

fn wrong_phone(country: Country) -> String {
    format!(
        "this is no telephone number; write it with the country's code, such as +254712345678, or as it is dialled in {}",
        country.name()
    )
}

/// A telephone number in E.164: `+254712345678`. `None` when there is none like it; an extension has no place in it.
#[must_use]
pub fn phone(text: &str, country: Country) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_digit() || " +-()./".contains(c);
    if text.chars().count() > PHONE_LIMIT || !text.chars().all(plain) {
        return None;
    }
    let number = phonenumber::parse(country.to_string().parse().ok(), text).ok()?;
    let whole = phonenumber::is_valid(&number) && number.extension().is_none();
    whole.then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

/// Returns the country of a telephone number in E.164; `None` when it belongs to none.
#[must_use]
pub fn phone_country(number: &str) -> Option<Country> {
    let number = phonenumber::parse(None, number).ok()?;
    Country::named(number.country().id()?.as_ref())
}

/// What a telephone number begins with in E.164 when this much of it has been typed; `None` when it is none.
#[must_use]
pub fn phone_beginning(text: &str, country: Country) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let plain = text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    if digits.is_empty() || !plain {
        return None;
    }
    let Some(national) = digits.strip_prefix('0').filter(|_| !text.trim_start().starts_with('+')) else {
        return Some(format!("+{digits}"));
    };
    let code = phonenumber::metadata::DATABASE.by_id(&country.to_string())?.country_code();
    Some(format!("+{code}{national}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        Country::named(code).unwrap_or_else(|| panic!("{code} is a country"))
    }

    #[test]
    fn telephone_numbers_are_kept_in_one_way() {
        let number = |text: &str| phone(text, country("KE"));
        for text in ["0712 345678", "+254 712-345-678", " (0712) 345.678 ", "+254712345678"] {
            assert_eq!(number(text).as_deref(), Some("+254712345678"), "{text}");
        }
        assert_eq!(number("+44 20 7946 0958").as_deref(), Some("+442079460958"));
        assert_eq!(phone("030 901820", country("DE")).as_deref(), Some("+4930901820"));
        let long = "1".repeat(500);
        for text in
            ["", "12", "0712", "call me", "+999 1234567", "+254712345678 ext. 5", ";phone-context=", "٠٧١٢", &long]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_beginning_of_a_number_is_enough_to_look_for_it() {
        let beginning = |text: &str| phone_beginning(text, country("KE"));
        assert_eq!(beginning("0712 3").as_deref(), Some("+2547123"));
        assert_eq!(beginning("+254 71").as_deref(), Some("+25471"));
        assert_eq!(beginning("25471").as_deref(), Some("+25471"));
        assert_eq!(beginning("wanjiku"), None);
        assert_eq!(beginning("+"), None);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut check = Check::new("input");
        let (mut name, mut city, mut code, mut number) = (String::new(), String::new(), "KE".to_owned(), None);
        check.text(&mut name, Patch::Set("é".repeat(101)), "firstName", 100);
        check.must(&mut city, Patch::Set("  ".into()), "city", 100);
        check.country(&mut code, Patch::Set("Kenya".into()), "countryCode");
        check.phone(&mut number, Patch::Set("nobody".into()), "phone", country("KE"));
        let problems = check.done().err().and_then(|why| why.problems().ok()).unwrap_or_default();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.join(".")).collect();
        assert_eq!(fields, ["input.firstName", "input.city", "input.countryCode", "input.phone"]);
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut check = Check::new("input");
        let (mut city, mut company) = ("Nairobi".to_owned(), Some("Baobab Ltd".to_owned()));
        check.must(&mut city, Patch::Keep, "city", 100);
        check.may(&mut company, Patch::Keep, "company", 100);
        assert_eq!((city.as_str(), company.as_deref()), ("Nairobi", Some("Baobab Ltd")));
        check.may(&mut company, Patch::Clear, "company", 100);
        assert_eq!(company, None);
        assert!(check.done().is_ok());
    }
}
