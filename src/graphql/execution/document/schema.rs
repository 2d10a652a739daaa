//! Schema for validation and for coercion of variables: the federated one, whose additional root fields the limits
//! reject where federation is disabled.

use std::sync::LazyLock;

use apollo_compiler::{Schema, validation::Valid};

/// Introspection fields that the executor supports beyond the validator's edition of the specification.
pub(in crate::graphql::execution) const SCHEMA_EXTENSIONS: &str = "extend type __Type { isOneOf: Boolean }";

static VALIDATION_SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    Schema::parse_and_validate(
        format!("{}{SCHEMA_EXTENSIONS}", crate::graphql::schema::render_federated_sdl()),
        "schema.graphql",
    )
    .unwrap_or_else(|failed| {
        // The schema text is generated and covered by a test: client input cannot cause this.
        tracing::error!(error = %failed.errors, "generated schema is invalid");
        Valid::assume_valid(failed.partial)
    })
});

/// Returns the schema, parsed once.
#[must_use]
pub fn validation_schema() -> &'static Valid<Schema> {
    &VALIDATION_SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_schema_is_valid() {
        let parsed = Schema::parse_and_validate(
            format!("{}{SCHEMA_EXTENSIONS}", crate::graphql::schema::render_federated_sdl()),
            "schema.graphql",
        );
        assert!(parsed.is_ok(), "{}", parsed.expect_err("errors").errors);
    }
}
