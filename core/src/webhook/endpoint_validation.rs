//! Validation of the input of endpoints.

use std::collections::HashSet;

use super::WebhookEventType;
use crate::{
    base::validation::Validator,
    identity::{Caller, Permissions},
    infra::outbound_address::AddressGuard,
};

/// Maximum length of a description in characters.
const MAX_DESCRIPTION_CHARS: usize = 200;

/// Checks a URL and the addresses of its name. Returns the URL as it is stored.
pub(super) async fn validate_url(validator: &mut Validator, guard: AddressGuard, text: &str) -> String {
    match guard.check_resolved_url(text.trim()).await {
        Ok(url) => url.to_string(),
        Err(error) => {
            validator.at("input").reject("url", error.to_string());
            String::new()
        }
    }
}

/// Checks a description. Returns it trimmed.
pub(super) fn validate_description(validator: &mut Validator, text: &str) -> String {
    let text = text.trim();
    if text.chars().count() > MAX_DESCRIPTION_CHARS || text.chars().any(char::is_control) {
        let message = format!("a description has at most {MAX_DESCRIPTION_CHARS} characters, on one line");
        validator.at("input").reject("description", message);
    }
    text.to_owned()
}

/// Checks the names of event types. Returns the types in a fixed order.
pub(super) fn validate_event_types(validator: &mut Validator, names: &[String]) -> Vec<WebhookEventType> {
    let mut input = validator.at("input");
    if names.is_empty() {
        input.reject("eventTypes", "an endpoint needs at least one event type");
    }
    let mut event_types = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(event_type) = WebhookEventType::from_name(name) {
            event_types.insert(event_type);
        } else {
            let message = "this is not an event type; the query webhookEventTypes lists them";
            input.reject(&format!("eventTypes.{index}"), message);
        }
    }
    let mut event_types: Vec<WebhookEventType> = event_types.into_iter().collect();
    event_types.sort_unstable();
    event_types
}

/// Checks that an endpoint gets no permissions that its creator does not have.
pub(super) fn validate_permissions(validator: &mut Validator, caller: Caller, permissions: Permissions) {
    if !caller.permissions().covers(permissions) {
        let message = "an endpoint cannot have permissions that its creator does not have";
        validator.at("input").reject("permissions", message);
    }
}
