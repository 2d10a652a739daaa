//! The schema as the validation and the coercion of variables read it.

use std::sync::LazyLock;

use apollo_compiler::{Schema, validation::Valid};

/// What the executor answers of introspection beyond the edition that the validation knows.
const EXTENSIONS: &str = "extend type __Type { isOneOf: Boolean }";

static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    Schema::parse_and_validate(format!("{}{EXTENSIONS}", super::super::sdl()), "schema.graphql").unwrap_or_else(
        |failed| {
            // The text is our own, and a test reads it: nothing a caller sends leads here.
            tracing::error!(error = %failed.errors, "the schema is not valid");
            Valid::assume_valid(failed.partial)
        },
    )
});

/// The schema, parsed once.
#[must_use]
pub fn schema() -> &'static Valid<Schema> {
    &SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_valid() {
        let parsed =
            Schema::parse_and_validate(format!("{}{EXTENSIONS}", super::super::super::sdl()), "schema.graphql");
        assert!(parsed.is_ok(), "{}", parsed.expect_err("errors").errors);
    }
}
