//! Idempotency keys of mutations.

use async_graphql::InputType;

use crate::{
    base::{Error, Result},
    infra::IdempotencyKey,
};

/// Creates the idempotency key of a request from its operation, key and whole input.
///
/// # Errors
/// Returns `BadUserInput` if the key is malformed.
pub fn parse_idempotency_key(
    operation_name: &'static str,
    idempotency_key: &str,
    input: &impl InputType,
) -> Result<IdempotencyKey> {
    let input_json = input.to_value().into_json().map_err(|error| Error::internal("reading an input", error))?;
    IdempotencyKey::new(operation_name, idempotency_key, &input_json)
}
