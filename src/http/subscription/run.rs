//! Operation of a connection, run in its own task: its output goes to the queue of the client.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::http::{HeaderMap, Method};

use super::{
    super::{
        App,
        graphql_execution::{self, RequestHead},
        graphql_request::{GraphqlRequest, RequestError},
    },
    client::{Client, OperationOutput},
    operation::SubscriptionOperation,
    start::{NewSubscription, start_subscription},
};
use crate::graphql::{
    context::RequestInfo,
    error::{ErrorStage, finalize_errors},
};

/// Operation to run.
pub(super) struct NewOperation {
    /// Request.
    pub(super) request: GraphqlRequest,
    /// Method that limits the types of operations.
    pub(super) method: Method,
    /// Headers, empty for a message.
    pub(super) headers: HeaderMap,
    /// Caller and origin.
    pub(super) request_info: RequestInfo,
    /// Client of the connection.
    pub(super) client: Arc<Client>,
    /// Number of the operation within the connection.
    pub(super) number: u32,
    /// Position of `Last-Event-ID`.
    pub(super) last_event: Option<i64>,
}

/// Runs a query or mutation, or starts a subscription.
pub(super) async fn run_operation(app: Arc<App>, operation: NewOperation) {
    let NewOperation { request, method, headers, request_info, client, number, last_event } = operation;
    let request_id = request_info.request_id.clone();
    let outcome = async {
        let head = RequestHead { method: &method, headers: &headers };
        let prepared = graphql_execution::prepare_operation(&app, head, request, &request_info).await?;
        if prepared.operation_type == OperationType::Subscription {
            let operation = SubscriptionOperation::new(prepared, request_info)
                .map_err(|error| RequestError::from_graphql(ErrorStage::Validate, error))?;
            let client = Arc::clone(&client);
            let subscription = NewSubscription { operation: Arc::new(operation), client, number, last_event };
            start_subscription(&app, subscription).await;
            return Ok(None);
        }
        let is_mutation = prepared.operation_type == OperationType::Mutation;
        let execution = async {
            if is_mutation {
                graphql_execution::execute_mutation(&app, prepared, None, request_info).await
            } else {
                graphql_execution::execute_operation(&app, prepared, request_info).await
            }
        };
        let timeout = app.state.config.server.request_timeout;
        let executed =
            tokio::time::timeout(timeout, execution).await.unwrap_or_else(|_| Err(RequestError::timed_out(timeout)))?;
        Ok(Some(executed.body))
    };
    let output = match Box::pin(outcome).await {
        Ok(None) => return,
        Ok(Some(body)) => OperationOutput::Response(body.into()),
        Err(RequestError { stage, mut errors, .. }) => {
            finalize_errors(&mut errors, stage, &request_id);
            OperationOutput::Failed(errors)
        }
    };
    client.deliver_when_ready(number, output).await;
}
