//! Payload queries of webhook endpoints: validation when they are saved, execution when an event is sent.

use std::sync::Arc;

use async_graphql::{
    Request, Response,
    parser::types::{BaseType, ExecutableDocument, OperationDefinition, Type},
};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::{
    base::{Result, Validator},
    graphql::{
        AppSchema,
        context::{AppState, RequestContext, RequestInfo},
        error::{ErrorStage, finalize_errors},
        execution::{
            document::{ValidDocument, parse_document},
            document_rewrite,
            limits::DocumentLimits,
            operation_check::{self, ParsedOperation},
            response_shape, variables,
        },
        load_batching::run_with_batching,
    },
    identity::{Caller, Permissions, Role, account},
    infra::{Config, Db, background},
    operations::{ManifestOperation, entity::OperationKind},
    webhook::{PayloadRenderer, PayloadRequest},
};

/// Path of the query in the input.
const QUERY_FIELD: &str = "payloadQuery";
/// Maximum number of ids in the variable `$ids`, as many as `nodes` accepts.
const MAX_VARIABLE_IDS: usize = 100;
/// Maximum number of errors of an execution that are reported.
const MAX_REPORTED_ERRORS: usize = 3;

/// Checks a payload query: a query within the limits of cost, whose variables events can provide.
pub(super) async fn check_payload_query(config: &Config, text: &str, validator: &mut Validator) -> Result<()> {
    let operation = ManifestOperation { document_id: QUERY_FIELD.to_owned(), text: text.to_owned() };
    let checked = operation_check::check_operations(vec![operation], config, || {}).await;
    let parsed = match checked {
        Ok(parsed) => parsed,
        Err(error) => {
            for error in error.into_public_errors()? {
                // Whatever the reason, it is an error of the input, also a cost above the limit.
                validator.at("input").reject(QUERY_FIELD, error.message);
            }
            return Ok(());
        }
    };
    let mut input = validator.at("input");
    for ParsedOperation { operation, document } in parsed {
        if operation.kind != OperationKind::Query {
            input.reject(QUERY_FIELD, "this must be a query");
            continue;
        }
        let Some(definition) = only_operation(&document.executable) else { continue };
        for variable in definition.variable_definitions.iter().map(|variable| &variable.node) {
            let (name, ty) = (variable.name.node.as_str(), &variable.var_type.node);
            if !is_event_variable(name, ty) && variable.default_value.is_none() && !ty.nullable {
                let message =
                    format!("${name} is not known; the variables are $id: ID!, $ids: [ID!]! and $eventType: String!");
                input.reject(QUERY_FIELD, message);
            }
        }
    }
    Ok(())
}

fn only_operation(document: &ExecutableDocument) -> Option<&OperationDefinition> {
    document.operations.iter().next().map(|(_, operation)| &operation.node)
}

fn is_event_variable(name: &str, ty: &Type) -> bool {
    let is_named = |base: &BaseType, name: &str| matches!(base, BaseType::Named(named) if named == name);
    match (name, &ty.base) {
        ("id", base) => is_named(base, "ID"),
        ("ids", BaseType::List(item)) => is_named(&item.base, "ID"),
        ("eventType", base) => is_named(base, "String"),
        _ => false,
    }
}

/// Executes payload queries.
struct PayloadExecutor {
    source: StateSource,
    state: OnceCell<(Arc<AppState>, AppSchema)>,
}

/// Where the state comes from.
enum StateSource {
    /// The state of the server.
    Shared(Arc<AppState>),
    /// Loaded when the first query is executed: a worker without a server needs none before.
    Database(Db, Box<Config>),
}

/// Creates the renderer of payload queries in a process with an API server.
#[must_use]
pub fn create_payload_renderer(app_state: &Arc<AppState>) -> PayloadRenderer {
    create_renderer(StateSource::Shared(Arc::clone(app_state)))
}

/// Creates the renderer of payload queries in a process without one.
#[must_use]
pub fn create_worker_payload_renderer(db: &Db, config: &Config) -> PayloadRenderer {
    create_renderer(StateSource::Database(db.clone(), Box::new(config.clone())))
}

fn create_renderer(source: StateSource) -> PayloadRenderer {
    let executor = Arc::new(PayloadExecutor { source, state: OnceCell::new() });
    PayloadRenderer::new(move |request| {
        let executor = Arc::clone(&executor);
        Box::pin(async move { executor.execute(request).await })
    })
}

impl PayloadExecutor {
    async fn load_state(&self) -> Result<&(Arc<AppState>, AppSchema)> {
        let load = async || {
            let app_state = match &self.source {
                StateSource::Shared(app_state) => Arc::clone(app_state),
                StateSource::Database(db, config) => Arc::new(AppState::load(db.clone(), Config::clone(config)).await?),
            };
            let schema = AppSchema::new(&app_state.config);
            Ok((app_state, schema))
        };
        self.state.get_or_try_init(load).await
    }

    async fn execute(&self, request: PayloadRequest) -> Result<Value, String> {
        let to_message = |error: crate::base::Error| error.to_public_error().message;
        let (app_state, schema) = self.load_state().await.map_err(to_message)?;
        // A worker without a server has no other refresh.
        app_state.category_tree_cache.refresh(&app_state.db).await.map_err(to_message)?;
        let PayloadRequest { query, subject_ids, event_type, permissions, account_id } = request;
        let permissions = limit_permissions(&app_state.db, permissions, account_id).await.map_err(to_message)?;
        let document = parse_query(&app_state.config, query).await?;
        let ids: Vec<&String> = subject_ids.iter().take(MAX_VARIABLE_IDS).collect();
        let values = json!({ "id": subject_ids.first(), "ids": ids, "eventType": event_type.name() });
        let response = execute_query(app_state, schema, &document.executable, values, permissions).await?;
        if response.errors.is_empty() {
            return response.data.into_json().map_err(|error| error.to_string());
        }
        let messages = response.errors.iter().take(MAX_REPORTED_ERRORS).map(|error| error.message.clone());
        Err(messages.collect::<Vec<_>>().join("; "))
    }
}

/// Returns the permissions of an endpoint, limited by the current role of its account, as those of an API key are.
async fn limit_permissions(db: &Db, permissions: Permissions, account_id: Option<i64>) -> Result<Permissions> {
    let Some(account_id) = account_id else { return Ok(permissions) };
    let Some(account) = account::find_active_account(db, account_id).await? else { return Ok(Permissions::default()) };
    // The role of an account stored as `customer` came from a provider's token and is not stored.
    let is_stored = account.role != Role::Customer;
    Ok(if is_stored { permissions.intersection(account.role.permissions()) } else { permissions })
}

async fn parse_query(config: &Config, text: String) -> Result<ValidDocument, String> {
    let allows_introspection = config.graphql.introspection.resolve(config.shop.mode);
    let graphql_config = config.graphql.clone();
    let parsed = background::compute(move || {
        parse_document(&text, DocumentLimits { config: &graphql_config, allows_introspection })
    });
    let parsed = parsed.await.map_err(|error| error.to_public_error().message)?;
    parsed.map_err(|failure| failure.errors.first().map(|error| error.message.clone()).unwrap_or_default())
}

async fn execute_query(
    app_state: &Arc<AppState>,
    schema: &AppSchema,
    document: &ExecutableDocument,
    values: Value,
    permissions: Permissions,
) -> Result<Response, String> {
    let operation = only_operation(document).ok_or_else(|| "there is no operation".to_owned())?;
    let values: Map<String, Value> = serde_json::from_value(values).unwrap_or_default();
    let variables = variables::coerce_variables(operation, values).map_err(|error| error.message)?;
    let mut selected = document_rewrite::select_operation(document, None);
    variables::omit_absent(&mut selected, operation, &variables);
    let mut request = Request::new(String::new()).variables(variables.clone());
    request.set_parsed_query(selected);
    let request_info = RequestInfo { caller: Caller::for_webhook(permissions), ..RequestInfo::default() };
    let (context, _, pending_loads) = RequestContext::for_request(app_state, request_info);
    let mut response = run_with_batching(schema.execute(request.data(context)), pending_loads).await;
    response_shape::shape_response(&mut response, document, operation, &variables);
    finalize_errors(&mut response.errors, ErrorStage::Execute, "");
    Ok(response)
}
