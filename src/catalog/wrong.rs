//! What is wrong with what staff say, gathered so that all of it is told at once.

use crate::base::{
    Error, Result,
    error::{Code, Problem},
};

/// The version that an editor has seen, and the path where it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(pub i32, pub String);

/// Problems under a path.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<Problem>);

impl Wrong {
    /// Something of this kind is wrong.
    pub(super) fn say(&mut self, code: Code, path: &str, message: impl Into<String>) {
        let field = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        self.0.push(Problem { code, field, message: message.into() });
    }

    /// A value that cannot be.
    pub(super) fn input(&mut self, path: &str, message: impl Into<String>) {
        self.say(Code::BadUserInput, path, message);
    }

    /// A text of so many characters at most, without the blanks around it; what is longer is told.
    pub(super) fn text(&mut self, path: &str, text: &str, limit: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length > limit {
            self.input(path, format!("at most {limit} characters; this has {length}"));
        }
        if text.contains(char::is_control) {
            self.input(path, "a text of one line: no line breaks or other control characters");
        }
        text.to_owned()
    }

    /// A list of so many things at most.
    pub(super) fn count(&mut self, path: &str, length: usize, limit: usize) {
        if length > limit {
            self.input(path, format!("at most {limit}; there are {length}"));
        }
    }

    /// What an editor has seen must be what is there.
    pub(super) fn version(&mut self, expected: Option<&Expected>, is: i32) {
        if let Some(Expected(expected, path)) = expected.filter(|expected| expected.0 != is) {
            let message = format!("it was changed since you read it: its version is {is}, not {expected}");
            self.say(Code::VersionConflict, path, message);
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is wrong, if anything is.
    pub(super) fn settle(self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    /// The same as an error.
    pub(super) fn check(self) -> Result<()> {
        Error::all(self.0)
    }
}

/// The path of a field below another.
pub(super) fn at(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}
