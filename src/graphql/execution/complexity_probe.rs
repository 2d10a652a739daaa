//! Complexity of operations, measured without executing them.
//!
//! The executor computes the complexity, too, but only compares it with the limit. An extension of its schema could read
//! it, but any extension slows down every field. So a second schema measures.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_graphql::{
    Request, ServerError, ValidationResult, Variables,
    async_trait::async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
    parser::types::ExecutableDocument,
};

use crate::graphql::AppSchema;

/// The schema that measures. It depends on no setting, and is large: all users share it.
static MEASURING_SCHEMA: LazyLock<AppSchema> = LazyLock::new(|| AppSchema::with_extension(ComplexityExtension));

/// Result of a measurement, shared with the extension by the data of the request.
#[derive(Debug, Default, Clone)]
struct MeasuredComplexity(Arc<Mutex<Option<Result<usize, String>>>>);

/// Extension that reads the complexity and prevents the execution.
#[derive(Debug)]
struct ComplexityExtension;

impl ExtensionFactory for ComplexityExtension {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for ComplexityExtension {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let outcome = next.run(ctx).await;
        let complexity = match outcome {
            Ok(ValidationResult { complexity, .. }) => Ok(complexity),
            Err(errors) => Err(join_messages(errors)),
        };
        if let Some(MeasuredComplexity(measured)) = ctx.data_opt() {
            *measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(complexity);
        }
        Err(vec![ServerError::new("The operation is only measured.", None)])
    }
}

/// Returns the complexity of the only operation of a document, with these variables.
///
/// # Errors
/// Returns a message if the complexity cannot be computed with the variables.
pub async fn measure_complexity(document: ExecutableDocument, variables: Variables) -> Result<usize, String> {
    let measured = MeasuredComplexity::default();
    let mut request = Request::new(String::new()).variables(variables).data(measured.clone());
    request.operation_name = document.operations.iter().next().and_then(|(name, _)| name.map(ToString::to_string));
    request.set_parsed_query(document);
    let response = MEASURING_SCHEMA.execute(request).await;
    let complexity = measured.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    complexity.unwrap_or_else(|| Err(join_messages(response.errors)))
}

fn join_messages(errors: Vec<ServerError>) -> String {
    errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ")
}
