//! Rendering of notifications in every language, from templates embedded in the binary.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use sea_orm::ActiveEnum;
use serde::Serialize;

use super::{NotificationEventType, OrderTemplateData};
use crate::base::{Error, LanguageCode, Result};

/// Values of a template.
#[derive(Debug, Clone, Serialize)]
pub struct TemplateContext<'a> {
    /// Name of the shop.
    pub shop: &'a str,
    /// Name of the recipient; may be empty.
    pub name: &'a str,
    /// Data of the order.
    pub order: Option<&'a OrderTemplateData>,
    /// Link of the message.
    pub link: Option<String>,
    /// One-time token of the email.
    pub token: Option<&'a str>,
}

/// A rendered email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    /// Subject, one line.
    pub subject: String,
    /// Plain-text body.
    pub text: String,
    /// HTML body.
    pub html: String,
}

/// Lists the templates with their names: event types per language, and the labels that they share.
macro_rules! templates {
    ($($language:literal: [$($event:literal),* $(,)?]),* $(,)?) => {
        &[$($(
            (concat!($language, "/", $event), include_str!(concat!("templates/", $language, "/", $event, ".jinja"))),
        )*)*]
    };
}

const TEMPLATES: &[(&str, &str)] = templates! {
    "en": [
        "labels", "order_placed", "order_confirmed", "order_shipped", "order_delivered", "order_canceled",
        "order_refunded", "order_link", "verify_email", "reset_password", "change_email", "email_in_use",
        "email_changed", "login_code",
    ],
    "sw": [
        "labels", "order_placed", "order_confirmed", "order_shipped", "order_delivered", "order_canceled",
        "order_refunded", "order_link", "verify_email", "reset_password", "change_email", "email_in_use",
        "email_changed", "login_code",
    ],
};

/// Environments of the same templates: HTML, which escapes values, and plain text.
static HTML_TEMPLATES: LazyLock<Environment<'static>> =
    LazyLock::new(|| build_environment(AutoEscape::Html, include_str!("templates/layout.html")));
static TEXT_TEMPLATES: LazyLock<Environment<'static>> =
    LazyLock::new(|| build_environment(AutoEscape::None, include_str!("templates/layout.txt")));

fn build_environment(escape: AutoEscape, layout: &'static str) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    match SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        Ok(syntax) => environment.set_syntax(syntax),
        Err(error) => tracing::error!(error = %error, "could not configure template syntax"),
    }
    for (name, source) in TEMPLATES.iter().chain(&[("layout", layout)]) {
        // A template with a syntax error is reported as missing later; tests render every template.
        if let Err(error) = environment.add_template(name, source) {
            tracing::error!(name, error = %error, "could not parse template");
        }
    }
    environment
}

fn render_error(error: minijinja::Error) -> Error {
    Error::internal("rendering a message", error)
}

/// Renders a block of a template as one line.
fn render_block(name: &str, block_name: &str, values: &TemplateValues<'_>) -> Result<String> {
    let template = TEXT_TEMPLATES.get_template(name).map_err(render_error)?;
    let mut captured = template.render_captured(Serde(values)).map_err(render_error)?;
    let text = captured.with_state_mut(|state| state.render_block(block_name)).map_err(render_error)?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Values of a template: the context, the language and the labels template.
#[derive(Debug, Serialize)]
struct TemplateValues<'a> {
    #[serde(flatten)]
    facts: &'a TemplateContext<'a>,
    language: &'static str,
    labels: String,
}

fn build_template_values<'a>(
    context: &'a TemplateContext<'a>,
    event_type: NotificationEventType,
    language: LanguageCode,
) -> (String, TemplateValues<'a>) {
    let code = language.code();
    (
        format!("{code}/{}", event_type.to_value()),
        TemplateValues { facts: context, language: code, labels: format!("{code}/labels") },
    )
}

/// Renders an email.
pub fn render_email(
    event_type: NotificationEventType,
    language: LanguageCode,
    context: &TemplateContext<'_>,
) -> Result<RenderedEmail> {
    let (name, values) = build_template_values(context, event_type, language);
    let render = |environment: &Environment<'_>| environment.get_template(&name)?.render(Serde(&values));
    Ok(RenderedEmail {
        subject: render_block(&name, "subject", &values)?,
        text: render(&TEXT_TEMPLATES).map_err(render_error)?.trim().to_owned() + "\n",
        html: render(&HTML_TEMPLATES).map_err(render_error)?.trim().to_owned(),
    })
}

/// Renders the subject of an email.
pub fn render_subject(
    event_type: NotificationEventType,
    language: LanguageCode,
    context: &TemplateContext<'_>,
) -> Result<String> {
    let (name, values) = build_template_values(context, event_type, language);
    render_block(&name, "subject", &values)
}

/// Renders an SMS.
pub fn render_sms(
    event_type: NotificationEventType,
    language: LanguageCode,
    context: &TemplateContext<'_>,
) -> Result<String> {
    let (name, values) = build_template_values(context, event_type, language);
    render_block(&name, "sms", &values)
}

/// Replaces the placeholders of a URL template with percent-encoded values. Returns `None` if the template is empty.
#[must_use]
pub fn fill_url_template(pattern: &str, parts: &[(&str, &str)]) -> Option<String> {
    let percent_encode = |text: &str| -> String {
        let encode_byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(encode_byte).collect()
    };
    let replace_placeholder =
        |url: String, (name, value): &(&str, &str)| url.replace(&format!("{{{name}}}"), &percent_encode(value));
    (!pattern.is_empty()).then(|| parts.iter().fold(pattern.to_owned(), replace_placeholder))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
