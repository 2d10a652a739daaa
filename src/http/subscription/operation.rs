//! Operation of a subscription: executed once at its start and once for each event.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{
    Name, Positioned, Request, Response, ServerError, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::{ConstValue, Value};
use uuid::Uuid;

use super::super::{
    App,
    graphql_execution::{self, GraphqlOperation},
};
use crate::{
    base::digest,
    graphql::{
        context::{RequestContext, RequestInfo},
        error::{ErrorStage, finalize_errors},
        execution::{document::ValidDocument, document_rewrite, response_shape, variables},
        load_batching::run_with_batching,
        shared_loads::SharedLoads,
        subscription::{EventPhase, StartedSubscription},
    },
    identity::{Caller, session::ClientInfo},
};

/// Identifies what a subscription returns for an event: the digest of its document, operation, variables and caller.
pub(super) type OperationKey = [u8; 32];

/// Estimated memory of a document node in bytes.
const NODE_BYTES: usize = 384;
/// Estimated memory of an operation without its document and variables, in bytes.
const OPERATION_BYTES: usize = 1024;

/// Operation of a subscription with its caller.
#[derive(Debug)]
pub(super) struct SubscriptionOperation {
    /// What identifies the operation.
    pub(super) key: OperationKey,
    /// Estimated memory in bytes.
    pub(super) byte_count: usize,
    document: Arc<ValidDocument>,
    /// The selected operation, with one root field.
    selected: ExecutableDocument,
    name: Option<String>,
    variables: Variables,
    caller: Caller,
    client_info: ClientInfo,
}

impl SubscriptionOperation {
    /// Creates the operation of a prepared subscription.
    ///
    /// # Errors
    /// Returns an error if the root field is conditional.
    pub(super) fn new(operation: GraphqlOperation, request_info: RequestInfo) -> Result<Self, ServerError> {
        let GraphqlOperation { document, name, variables, .. } = operation;
        let RequestInfo { caller, client_info, .. } = request_info;
        let mut selected = document_rewrite::select_operation(&document.executable, name.as_deref());
        let definition = graphql_execution::select_operation(&document.executable, name.as_deref())?;
        merge_root_fields(&mut selected)?;
        variables::omit_absent(&mut selected, definition, &variables);
        let byte_count = OPERATION_BYTES + document.nodes.saturating_mul(NODE_BYTES * 2) + variables_bytes(&variables);
        let key = operation_key(&selected, &variables, caller);
        Ok(Self { key, byte_count, document, selected, name, variables, caller, client_info })
    }

    /// Executes the start: checks access, and returns what the subscription follows.
    ///
    /// # Errors
    /// Returns the errors of the operation.
    pub(super) async fn start(&self, app: &Arc<App>) -> Result<StartedSubscription, Vec<ServerError>> {
        let started = Arc::new(Mutex::new(None));
        let response = self.execute(app, EventPhase::Start(Arc::clone(&started)), None).await;
        let errors = response.map(|response| response.errors).unwrap_or_default();
        let started = started.lock().unwrap_or_else(PoisonError::into_inner).take();
        match started {
            Some(started) if errors.is_empty() => Ok(started),
            _ if errors.is_empty() => Err(vec![ServerError::new("The subscription could not be started.", None)]),
            _ => Err(errors),
        }
    }

    /// Executes one phase; `None` if there is nothing to deliver. Loads are shared with other executions.
    pub(super) async fn execute(
        &self,
        app: &Arc<App>,
        phase: EventPhase,
        shared_loads: Option<SharedLoads>,
    ) -> Option<Response> {
        let request_id = Uuid::now_v7().simple().to_string();
        let request_info = RequestInfo {
            caller: self.caller,
            client_info: self.client_info.clone(),
            request_id: request_id.clone(),
            ..RequestInfo::default()
        };
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request.operation_name.clone_from(&self.name);
        request.set_parsed_query(self.selected.clone());
        let is_event = matches!(phase, EventPhase::Deliver(_));
        let (context, query_stats, pending_loads) =
            RequestContext::with_shared_loads(&app.state, request_info, shared_loads);
        let execution = app.schema.execute_subscription(request.data(context).data(phase));
        let response = run_with_batching(execution, pending_loads).await;
        if is_event {
            app.subscriptions.count_statements(query_stats.statement_count());
        }
        let mut response = response?;
        if let Ok(definition) = graphql_execution::select_operation(&self.document.executable, self.name.as_deref()) {
            response_shape::shape_response(&mut response, &self.document.executable, definition, &self.variables);
        }
        finalize_errors(&mut response.errors, ErrorStage::Execute, &request_id);
        Some(response)
    }
}

/// Replaces the root selections by one field, because the executor ignores fields in fragments. By the specification
/// all of them are one field with equal arguments.
fn merge_root_fields(document: &mut ExecutableDocument) -> Result<(), ServerError> {
    let ExecutableDocument { operations, fragments } = document;
    let operation = match operations {
        DocumentOperations::Single(operation) => Some(&mut operation.node),
        DocumentOperations::Multiple(operations) => operations.values_mut().next().map(|operation| &mut operation.node),
    };
    let Some(OperationDefinition { selection_set, .. }) = operation else { return Ok(()) };
    let mut merged: Option<Positioned<Field>> = None;
    let mut pending: Vec<Positioned<Selection>> = std::mem::take(&mut selection_set.node.items);
    pending.reverse();
    let mut visited = HashSet::new();
    while let Some(selection) = pending.pop() {
        if !selection.node.directives().is_empty() {
            let message = "The root field of a subscription cannot have directives.";
            return Err(ServerError::new(message, Some(selection.pos)));
        }
        let children = match selection.node {
            Selection::Field(field) => {
                match &mut merged {
                    Some(merged) => {
                        merged.node.selection_set.node.items.extend(field.node.selection_set.node.items);
                    }
                    None => merged = Some(field),
                }
                continue;
            }
            Selection::InlineFragment(fragment) => fragment.node.selection_set.node.items,
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node;
                match fragments.get(&name).filter(|_| visited.insert(name)) {
                    Some(fragment) => fragment.node.selection_set.node.items.clone(),
                    None => continue,
                }
            }
        };
        pending.extend(children.into_iter().rev());
    }
    let items = merged.map(|field| Positioned::new(Selection::Field(field.clone()), field.pos));
    selection_set.node = SelectionSet { items: items.into_iter().collect() };
    Ok(())
}

/// Returns the digest of what determines the responses. The argument `after` does not, so that subscriptions that
/// continue after different events are executed together; its variable counts only if it is used elsewhere too.
fn operation_key(selected: &ExecutableDocument, variables: &Variables, caller: Caller) -> OperationKey {
    let ExecutableDocument { mut operations, fragments } = selected.clone();
    let operation = match &mut operations {
        DocumentOperations::Single(operation) => Some(&mut operation.node),
        DocumentOperations::Multiple(operations) => operations.values_mut().next().map(|operation| &mut operation.node),
    };
    let mut cursor_variable = None;
    for selection in operation.into_iter().flat_map(|operation| &mut operation.selection_set.node.items) {
        let Selection::Field(field) = &mut selection.node else { continue };
        let arguments = &mut field.node.arguments;
        let cursor = arguments.iter().position(|(name, _)| name.node == "after");
        if let Some((_, value)) = cursor.map(|index| arguments.remove(index))
            && let Value::Variable(name) = value.node
        {
            cursor_variable = Some(name);
        }
    }
    let mut fragments: Vec<_> = fragments.into_iter().collect();
    fragments.sort_unstable_by(|(first, _), (second, _)| first.cmp(second));
    let document_text = format!("{operations:?}{fragments:?}");
    let is_used = |name: &Name| document_text.contains(&format!("{:?}", Value::Variable(name.clone())));
    let mut variables = variables.clone();
    if let Some(name) = cursor_variable.filter(|name| !is_used(name)) {
        variables.remove(&name);
    }
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
    variables.sort_unstable();
    digest::sha256_bytes(format!("{document_text}{variables:?}{caller:?}"))
}

/// Returns the estimated memory of variables in bytes.
fn variables_bytes(variables: &Variables) -> usize {
    // A parsed value takes several times the memory of its text.
    const BYTES_PER_CHARACTER: usize = 8;
    let value_bytes = |value: &ConstValue| value.to_string().len().saturating_mul(BYTES_PER_CHARACTER);
    variables.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn key_of(text: &str, variables: serde_json::Value, caller: Caller) -> OperationKey {
        let mut document = parse_query(text).expect("a document");
        merge_root_fields(&mut document).expect("one root field");
        operation_key(&document, &Variables::from_json(variables), caller)
    }

    #[test]
    fn subscriptions_that_differ_in_their_cursor_have_the_same_key() {
        let text = "subscription($id: ID!, $after: String) { productUpdated(id: $id, after: $after) { cursor } }";
        let key =
            |id: &str, after: &str| key_of(text, serde_json::json!({ "id": id, "after": after }), Caller::Anonymous);
        assert_eq!(key("1", "a"), key("1", "b"));
        assert_ne!(key("1", "a"), key("2", "a"));
        let staff = Caller::User { account_id: 1, role: crate::identity::Role::Admin, session_id: None };
        assert_ne!(key("1", "a"), key_of(text, serde_json::json!({ "id": "1", "after": "a" }), staff));
        let used_twice = "subscription($after: String) { productUpdated(id: 1, after: $after) {
            product { movements(after: $after) { cursor } } } }";
        let key = |after: &str| key_of(used_twice, serde_json::json!({ "after": after }), Caller::Anonymous);
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn root_fields_in_fragments_become_one_field() {
        let text = "subscription { ...A ... { productUpdated(id: 1) { product { id } } } }
            fragment A on Subscription { productUpdated(id: 1) { cursor } }";
        let mut document = parse_query(text).expect("a document");
        merge_root_fields(&mut document).expect("one root field");
        let (_, operation) = document.operations.iter().next().expect("an operation");
        let [root] = operation.node.selection_set.node.items.as_slice() else { panic!("one root field") };
        let Selection::Field(field) = &root.node else { panic!("a field") };
        assert_eq!(field.node.selection_set.node.items.len(), 2);
        let conditional = "subscription { productUpdated(id: 1) @skip(if: true) { cursor } }";
        assert!(merge_root_fields(&mut parse_query(conditional).expect("a document")).is_err());
    }
}
