//! Check of documents against the text of another schema: which of them a change would break.

use apollo_compiler::{Schema, parser::Parser, validation::Valid};

use super::{
    document::{
        MAX_NESTING_DEPTH, MAX_TOKENS, errors::collect_errors, line_index::LineIndex, schema::SCHEMA_EXTENSIONS,
    },
    operation_check::format_document_error,
};

/// Schema against which documents are checked.
#[derive(Debug)]
pub struct ChangedSchema(Valid<Schema>);

impl ChangedSchema {
    /// Parses the text of a schema.
    ///
    /// # Errors
    /// Returns the errors of the schema.
    pub fn parse(text: &str, path: &str) -> Result<Self, Vec<String>> {
        let has_extension = text.contains("isOneOf");
        let extensions = if has_extension { "" } else { SCHEMA_EXTENSIONS };
        match Schema::parse_and_validate(format!("{text}\n{extensions}"), path) {
            Ok(schema) => Ok(Self(schema)),
            Err(failed) => Err(failed.errors.iter().map(|diagnostic| diagnostic.error.to_string()).collect()),
        }
    }

    /// Returns the errors of a document, at most ten, each with its position; none if the schema allows it.
    #[must_use]
    pub fn find_errors(&self, text: &str) -> Vec<String> {
        let text = text.trim_start_matches('\u{feff}');
        let lines = LineIndex::new(text);
        let mut parser = Parser::new().recursion_limit(MAX_NESTING_DEPTH).token_limit(MAX_TOKENS);
        let diagnostics = match parser.parse_ast(text, "") {
            Ok(ast) => match ast.to_executable_validate(&self.0) {
                Ok(_) => return Vec::new(),
                Err(failed) => failed.errors,
            },
            Err(failed) => failed.errors,
        };
        collect_errors(&diagnostics, &lines, |_| true).iter().map(format_document_error).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "type Query { shop: Shop! } type Shop { name: String! currency: String! }";

    #[test]
    fn document_that_a_change_breaks_is_reported_with_its_position() {
        let schema = ChangedSchema::parse(SCHEMA, "new.graphql").expect("a schema");
        assert_eq!(schema.find_errors("{ shop { name } }"), Vec::<String>::new());
        let errors = schema.find_errors("query Q {\n  shop { name country }\n}");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("2:15: ") && errors[0].contains("country"), "{errors:?}");
    }

    #[test]
    fn invalid_schema_is_rejected() {
        let errors = ChangedSchema::parse("type Query { a: Missing }", "new.graphql").expect_err("errors");
        assert!(!errors.is_empty() && !errors[0].contains('\n'), "{errors:?}");
    }

    #[test]
    fn current_schema_is_accepted() {
        assert!(ChangedSchema::parse(&crate::graphql::render_sdl(), "schema.graphql").is_ok());
    }
}
