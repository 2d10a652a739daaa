//! Execution of GraphQL operations: parsing, validation, charge, execution.

use std::sync::{Arc, PoisonError};

use async_graphql::{
    ServerError, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use tracing::{Instrument, Span};

use super::{
    App,
    document_uses::DocumentUseCounter,
    graphql_request::{GraphqlRequest, RequestError},
    graphql_response::{self, ExecutedRequest, ExecutionResult, ResponseOrigin, serialize_response},
    idempotency::{self, IdempotentMutation},
    persisted_query::{self, DocumentReference, DocumentRequest, ResolvedDocument},
    rate_limit::{ChargedOperation, RequestCharge},
    request_log::ErrorSummary,
    write_position,
};
use crate::{
    base::error::PublicErrorCode,
    graphql::{
        context::{RequestContext, RequestInfo},
        error::{ErrorStage, finalize_errors},
        execution::{
            document::ValidDocument, document_rewrite, limits, requested_cost::MeasuredOperation, response_shape,
            variables,
        },
        load_batching::run_with_batching,
    },
    infra::telemetry::{self, OperationLabel, RequestOperation, span_export::is_tracing_enabled},
};

/// Method and headers of an HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method, which limits the types of operations.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// Validated operation, ready for execution.
pub(super) struct GraphqlOperation {
    /// Document.
    pub(super) document: Arc<ValidDocument>,
    /// Counter of the uses of the document, if it is published.
    pub(super) use_counter: Option<Arc<DocumentUseCounter>>,
    /// Name of the selected operation; `None` for the only one.
    pub(super) name: Option<String>,
    /// Coerced variables.
    pub(super) variables: Variables,
    /// Type of the selected operation.
    pub(super) operation_type: OperationType,
    /// Cost that was charged.
    pub(super) charge: Option<RequestCharge>,
    /// The operation in log lines and metrics.
    pub(super) reported: RequestOperation,
}

/// Parses, validates and selects the operation of a request, and coerces its variables and charges its
/// cost.
///
/// # Errors
/// Returns [`RequestError`] if the request cannot be executed.
pub(super) async fn prepare_operation(
    app: &App,
    head: RequestHead<'_>,
    request: GraphqlRequest,
    request_info: &RequestInfo,
) -> Result<GraphqlOperation, RequestError> {
    let RequestHead { method, headers } = head;
    let caller = request_info.caller;
    let GraphqlRequest { document, operation: name, variables } = request;
    let is_stored = matches!(document, DocumentReference::Stored(_));
    let document_request = DocumentRequest { method, operation_name: name.as_deref(), caller: &caller };
    let ResolvedDocument { document, use_counter } =
        persisted_query::resolve_document(app, document_request, document).await?;
    let validation_error = |error| RequestError::from_graphql(ErrorStage::Validate, error);
    let operation = select_operation(&document.executable, name.as_deref()).map_err(validation_error)?;
    let operation_type = operation.ty;
    let reported = report_operation(&document.executable, name.as_deref(), is_stored || use_counter.is_some());
    // An operation of a connection with live updates has a record of its own.
    let _ = request_info.record.operation.set(reported.clone());
    validate_method(method, operation_type != OperationType::Mutation)?;
    if operation_type == OperationType::Mutation && caller.permissions().is_empty() {
        let max_mutation_fields = app.state.config.graphql.max_mutation_fields;
        limits::check_root_fields(&document.executable, operation, max_mutation_fields).map_err(validation_error)?;
    }
    let variables = variables::coerce_variables(operation, variables.unwrap_or_default()).map_err(validation_error)?;
    variables::check_condition_variables(&document.executable, operation, &variables).map_err(validation_error)?;
    let measured =
        MeasuredOperation { document_hash: &document.hash, operation_name: name.as_deref(), variables: &variables };
    let charged_operation = ChargedOperation { measured, headers, request_info };
    let select_document = || document_rewrite::select_operation(&document.executable, name.as_deref());
    let charge = RequestCharge::for_operation(app, charged_operation, select_document).await?;
    if let Some(charge) = &charge {
        let _ = request_info.record.cost.set(charge.requested_cost());
    }
    let document = Arc::clone(&document);
    Ok(GraphqlOperation { document, use_counter, name, variables, operation_type, charge, reported })
}

/// Returns how an operation is reported: only the name of a published or stored one is a label value, because callers
/// choose the others.
fn report_operation(document: &ExecutableDocument, name: Option<&str>, is_trusted: bool) -> RequestOperation {
    let only_name = document.operations.iter().next().and_then(|(name, _)| name).map(async_graphql::Name::as_str);
    let name = name.or(only_name);
    let label = match (telemetry::metrics(), name) {
        (Some(metrics), Some(name)) if is_trusted => metrics.operation_label(name),
        _ => OperationLabel::OTHER,
    };
    RequestOperation { label, name: name.map(Arc::from) }
}

/// Creates the span of the execution of an operation.
fn create_operation_span(operation_type: OperationType, name: Option<&str>) -> Span {
    if !is_tracing_enabled() {
        return Span::none();
    }
    let name = name.unwrap_or("anonymous");
    let operation_type = operation_type.to_string();
    tracing::trace_span!(
        target: "savannah::trace",
        "operation",
        otel.name = format!("{operation_type} {name}"),
        graphql.operation.name = name,
        graphql.operation.type = operation_type,
    )
}

/// Executes a mutation, which runs to completion even if the client disconnects.
pub(super) async fn execute_mutation(
    app: &Arc<App>,
    operation: GraphqlOperation,
    idempotent_mutation: Option<IdempotentMutation>,
    request_info: RequestInfo,
) -> ExecutionResult {
    let app = Arc::clone(app);
    let caller = request_info.caller;
    let mutation_task = async move {
        let execution = execute_operation(&app, operation, request_info);
        let mut outcome = match idempotent_mutation {
            Some(mutation) => Box::pin(idempotency::execute_once(&app, mutation, execution)).await,
            None => execution.await,
        };
        // Also of a mutation that has failed: a part of it may be committed.
        let token_accounts = outcome.as_ref().map_or_else(|_| Vec::new(), |executed| executed.token_accounts.clone());
        let write_position = write_position::record_writes(&app, caller, &token_accounts).await;
        if let Ok(executed) = &mut outcome {
            executed.write_position = write_position;
        }
        outcome
    };
    tokio::spawn(mutation_task.in_current_span()).await.unwrap_or_else(|join_error| match join_error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(join_error) => {
            tracing::warn!(error = %join_error, "mutation canceled by server shutdown");
            let mut error = ServerError::new("The server is stopping; please try again.", None);
            error.extensions.get_or_insert_default().set("code", PublicErrorCode::Unavailable.as_str());
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(RequestError { status, stage: ErrorStage::Execute, errors: vec![error] })
        }
    })
}

pub(super) fn validate_method(method: &Method, is_read_only: bool) -> Result<(), RequestError> {
    if *method == Method::POST || is_read_only {
        return Ok(());
    }
    Err(RequestError::from_http(StatusCode::METHOD_NOT_ALLOWED, "GET is for queries; use POST."))
}

/// Executes a query or mutation.
pub(super) async fn execute_operation(
    app: &Arc<App>,
    operation: GraphqlOperation,
    request_info: RequestInfo,
) -> ExecutionResult {
    let config = &app.state.config;
    let GraphqlOperation { document, name, variables, operation_type, charge, reported, .. } = operation;
    let span = create_operation_span(operation_type, reported.name.as_deref());
    let document = &document.executable;
    let operation = select_operation(document, name.as_deref())
        .map_err(|error| RequestError::from_graphql(ErrorStage::Validate, error))?;
    let request_id = request_info.request_id.clone();

    let mut request = async_graphql::Request::new(String::new()).variables(variables.clone());
    let mut selected_document = document_rewrite::select_operation(document, name.as_deref());
    variables::omit_absent(&mut selected_document, operation, &variables);
    request.operation_name = name;
    request.set_parsed_query(selected_document);
    let (request_context, query_stats, pending_loads) = RequestContext::for_request(&app.state, request_info);
    let token_accounts = Arc::clone(&request_context.token_accounts);
    let mut response =
        run_with_batching(app.schema.execute(request.data(request_context)), pending_loads).instrument(span).await;

    // An error without a path occurred before the execution.
    let was_rejected = response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|execution_error| execution_error.path.is_empty());
    if was_rejected {
        return Err(RequestError {
            status: StatusCode::BAD_REQUEST,
            stage: ErrorStage::Validate,
            errors: response.errors,
        });
    }
    response_shape::shape_response(&mut response, document, operation, &variables);
    finalize_errors(&mut response.errors, ErrorStage::Execute, &request_id);
    if let Some(charge) = charge {
        charge.report(&mut response, query_stats.statement_count());
    }
    let timing = config.graphql.server_timing.resolve(config.shop.mode).then(|| {
        let statement_count = query_stats.statement_count();
        let duration_millis = query_stats.total_time().as_secs_f64() * 1000.0;
        let statement_noun = if statement_count == 1 { "statement" } else { "statements" };
        HeaderValue::from_str(&format!("db;dur={duration_millis:.3};desc=\"{statement_count} {statement_noun}\"")).ok()
    });
    let has_payload = matches!(&response.data, Value::Object(fields)
        if fields.values().any(|value| matches!(value, Value::Object(_))));
    Ok(ExecutedRequest {
        body: serialize_response(&response, config.graphql.max_response_bytes, &request_id)?,
        has_payload,
        token_accounts: std::mem::take(&mut *token_accounts.lock().unwrap_or_else(PoisonError::into_inner)),
        has_errors: !response.errors.is_empty(),
        error_summary: ErrorSummary::of_errors(&response.errors),
        is_unavailable: graphql_response::is_unavailable(&response),
        origin: ResponseOrigin::Executed,
        timing: timing.flatten(),
        write_position: None,
    })
}

/// Selects the operation to execute.
pub(super) fn select_operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, ServerError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations
            .values()
            .next()
            .map(|operation| &operation.node)
            .ok_or_else(|| ServerError::new("There is no operation.", None)),
        (DocumentOperations::Multiple(_), None) => {
            let message = "The document has several operations: name one in `operationName`.";
            Err(ServerError::new(message, None))
        }
        (operations, Some(name)) => {
            let named_operation = operations.iter().find(|(operation_name, _)| {
                operation_name.is_some_and(|operation_name| operation_name.as_str() == name)
            });
            let unknown_operation = || ServerError::new(format!("There is no operation named \"{name}\"."), None);
            named_operation.map(|(_, operation)| &operation.node).ok_or_else(unknown_operation)
        }
    }
}
