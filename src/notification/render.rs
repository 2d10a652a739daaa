//! Words for occasions, in every language, from templates that are part of the binary.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::{Occasion, OrderWords};
use crate::base::{Error, Language, Result};

/// What a message is made of.
#[derive(Debug, Clone, Serialize)]
pub struct Facts<'a> {
    /// What the shop is called.
    pub shop: &'a str,
    /// Whose message it is; may be empty.
    pub name: &'a str,
    /// The order it is about.
    pub order: Option<&'a OrderWords>,
    /// Where to go from here.
    pub link: Option<String>,
    /// What the mail brings.
    pub token: Option<&'a str>,
}

/// A letter's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What it is about, in one line.
    pub subject: String,
    /// Its words alone.
    pub text: String,
    /// The same, to look at.
    pub html: String,
}

/// Every template with its name: the words of an occasion in a language, and what all have around them.
macro_rules! templates {
    ($($language:literal: [$($occasion:literal),* $(,)?]),* $(,)?) => {
        &[$($(
            (concat!($language, "/", $occasion), include_str!(concat!("templates/", $language, "/", $occasion, ".jinja"))),
        )*)*]
    };
}

const TEMPLATES: &[(&str, &str)] = templates! {
    "en": [
        "labels", "order_placed", "order_confirmed", "order_shipped", "order_delivered", "order_cancelled",
        "order_refunded", "verify_email", "reset_password",
    ],
    "sw": [
        "labels", "order_placed", "order_confirmed", "order_shipped", "order_delivered", "order_cancelled",
        "order_refunded", "verify_email", "reset_password",
    ],
};

/// The same words twice: in HTML, where everything from outside is escaped, and as they are.
static HTML: LazyLock<Environment<'static>> =
    LazyLock::new(|| made(AutoEscape::Html, include_str!("templates/layout.html")));
static TEXT: LazyLock<Environment<'static>> =
    LazyLock::new(|| made(AutoEscape::None, include_str!("templates/layout.txt")));

fn made(escape: AutoEscape, layout: &'static str) -> Environment<'static> {
    let mut made = Environment::empty();
    made.set_auto_escape_callback(move |_| escape.clone());
    made.set_undefined_behavior(UndefinedBehavior::Strict);
    match SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        Ok(syntax) => made.set_syntax(syntax),
        Err(why) => tracing::error!(error = %why, "templates cannot be set up"),
    }
    for (name, source) in TEMPLATES.iter().chain(&[("layout", layout)]) {
        // A template that cannot be read is missing later, and the tests render each.
        if let Err(why) = made.add_template(name, source) {
            tracing::error!(name, error = %why, "a template cannot be read");
        }
    }
    made
}

fn fault(why: minijinja::Error) -> Error {
    Error::fault("writing a message", why)
}

/// What stands in a block of a template, in one line.
fn block(name: &str, block: &str, told: &Told<'_>) -> Result<String> {
    let template = TEXT.get_template(name).map_err(fault)?;
    let mut whole = template.render_captured(Serde(told)).map_err(fault)?;
    let words = whole.with_state_mut(|state| state.render_block(block)).map_err(fault)?;
    Ok(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a template is told beside the facts.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    facts: &'a Facts<'a>,
    language: &'static str,
    labels: String,
}

fn told<'a>(facts: &'a Facts<'a>, occasion: Occasion, language: Language) -> (String, Told<'a>) {
    let code = language.code();
    (format!("{code}/{}", occasion.name()), Told { facts, language: code, labels: format!("{code}/labels") })
}

/// A letter.
///
/// # Errors
/// When a template wants what is not there.
pub fn letter(occasion: Occasion, language: Language, facts: &Facts<'_>) -> Result<Written> {
    let (name, told) = told(facts, occasion, language);
    let render = |from: &Environment<'_>| from.get_template(&name)?.render(Serde(&told));
    Ok(Written {
        subject: block(&name, "subject", &told)?,
        text: render(&TEXT).map_err(fault)?.trim().to_owned() + "\n",
        html: render(&HTML).map_err(fault)?.trim().to_owned(),
    })
}

/// A letter's subject alone.
///
/// # Errors
/// When a template wants what is not there.
pub fn subject(occasion: Occasion, language: Language, facts: &Facts<'_>) -> Result<String> {
    let (name, told) = told(facts, occasion, language);
    block(&name, "subject", &told)
}

/// A short message.
///
/// # Errors
/// When a template wants what is not there.
pub fn note(occasion: Occasion, language: Language, facts: &Facts<'_>) -> Result<String> {
    let (name, told) = told(facts, occasion, language);
    block(&name, "sms", &told)
}

/// An address with what is filled in; `None` when there is no address.
#[must_use]
pub fn fill(pattern: &str, parts: &[(&str, &str)]) -> Option<String> {
    let keep = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let fill = |url: String, (name, value): &(&str, &str)| url.replace(&format!("{{{name}}}"), &keep(value));
    (!pattern.is_empty()).then(|| parts.iter().fold(pattern.to_owned(), fill))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
