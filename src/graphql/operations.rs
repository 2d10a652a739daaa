//! Published versions of apps and their operations.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

pub mod publishing;
mod statement_count;

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Enum, ID, InputObject, Object, dataloader::Loader};
use chrono::{DateTime, Utc};

use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    graphql::{
        context::request_context,
        guard::RequirePermission,
        loader::{Loaders, batch_loader},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
    },
    identity::Permission,
    operations::{
        self,
        entity::{ManifestFormat, OperationKind, StatementFigure, operation_version},
        manifest,
        queries::{self, OperationRow, OperationVersionFilter},
    },
};

use publishing::PublishRequest;

batch_loader!(
    /// Loads the operations of a version, without an access check.
    OperationsOfVersionKey, Arc<Vec<OperationRow>>, |loaders, keys| queries::load_operations(&loaders.db, keys)
);

/// Format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ManifestFormat", name = "OperationManifestFormat")]
pub enum OperationManifestFormat {
    /// Manifest of Apollo's tools.
    Apollo,
    /// Map of IDs to texts, as Relay's compiler and GraphQL Code Generator write it.
    Map,
    /// Folder of `.graphql` files.
    Folder,
}

/// Type of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "OperationKind", name = "PublishedOperationType")]
pub enum PublishedOperationType {
    /// Read.
    Query,
    /// Write.
    Mutation,
    /// Stream of events.
    Subscription,
}

/// Meaning of a number of database statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "StatementFigure", name = "StatementFigure")]
pub enum StatementFigureEnum {
    /// Number of statements of an execution that reached every selected object.
    Measured,
    /// Lower bound: number of statements of an execution in which some selected objects did not exist.
    AtLeast,
    /// Upper bound: the limit of every request of a caller without a permission. The operation was not executed.
    Limit,
}

/// Published version of an app: its trusted documents.
#[derive(Debug)]
pub struct OperationVersion(operation_version::Model);

impl From<operation_version::Model> for OperationVersion {
    fn from(row: operation_version::Model) -> Self {
        Self(row)
    }
}

impl OperationVersion {
    async fn load_operations(&self, ctx: &Context<'_>) -> Result<Arc<Vec<OperationRow>>> {
        Ok(request_context(ctx).load(OperationsOfVersionKey(self.0.id)).await?.unwrap_or_default())
    }
}

/// Published version of an app: its trusted documents.
#[Object]
impl OperationVersion {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::OperationVersion, self.0.id).encode().into()
    }

    /// Name of the app.
    async fn app(&self) -> &str {
        &self.0.app
    }

    /// Version of the app.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// Format of its manifest.
    async fn format(&self) -> OperationManifestFormat {
        self.0.format.into()
    }

    /// Number of operations.
    async fn operation_count(&self) -> i32 {
        self.0.operation_count
    }

    /// Operations by name.
    async fn operations(&self, ctx: &Context<'_>) -> Result<Vec<PublishedOperation>> {
        let rows = self.load_operations(ctx).await?;
        request_context(ctx).charge_list_values(ctx, rows.len())?;
        Ok(rows.iter().cloned().map(PublishedOperation).collect())
    }

    /// Number of requests of its operations. Requests of an operation that several versions have count for each.
    async fn use_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.load_operations(ctx).await?.iter().map(|row| row.use_count).sum())
    }

    /// Time of the last request of one of its operations, stored with a delay; null if there was none.
    async fn last_used_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>> {
        Ok(self.load_operations(ctx).await?.iter().filter_map(|row| row.last_used_at).max())
    }

    /// Publication time.
    async fn published_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Retirement time; null if not retired.
    async fn retired_at(&self) -> Option<DateTime<Utc>> {
        self.0.retired_at
    }
}

/// Operation of a published version.
#[derive(Debug)]
pub struct PublishedOperation(OperationRow);

/// Operation of a published version.
#[Object]
impl PublishedOperation {
    /// ID that the app sends as `documentId`, without the prefix `sha256:`.
    async fn document_id(&self) -> &str {
        &self.0.document_id
    }

    /// Name of the operation; null if it is anonymous.
    async fn name(&self) -> Option<&str> {
        self.0.operation_name.as_deref()
    }

    /// Type of the operation.
    #[graphql(name = "type")]
    async fn operation_type(&self) -> PublishedOperationType {
        self.0.operation_type.into()
    }

    /// Worst-case complexity, computed when it was published.
    async fn complexity(&self) -> i64 {
        self.0.complexity
    }

    /// Nesting depth of its fields.
    async fn depth(&self) -> i32 {
        self.0.depth
    }

    /// Number of database statements.
    async fn statements(&self) -> i32 {
        self.0.statements
    }

    /// Meaning of `statements`.
    async fn statement_figure(&self) -> StatementFigureEnum {
        self.0.statement_figure.into()
    }

    /// Number of requests, of all versions that have the operation.
    async fn use_count(&self) -> i64 {
        self.0.use_count
    }

    /// Time of the last request, stored with a delay; null if there was none.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.0.last_used_at
    }
}

/// Filter for published versions. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "OperationVersionFilter")]
pub struct OperationVersionFilterInput {
    /// Name of the app.
    app: Option<String>,
    /// Whether the version is retired.
    is_retired: Option<bool>,
}

/// Version of an app to publish.
#[derive(Debug, InputObject)]
pub struct OperationVersionPublishInput {
    /// Name of the app: 1 to 64 letters, digits and `. _ - +`.
    app: String,
    /// Version of the app: 1 to 64 letters, digits and `. _ - +`.
    version: String,
    /// Text of the manifest: that of Apollo's tools, or a JSON object of IDs and documents, as Relay's compiler and
    /// GraphQL Code Generator write it.
    manifest: String,
}

edge!(
    /// Published version with its cursor.
    OperationVersionEdge { cursor = "Cursor of the version.", node: OperationVersion = "Published version." }
);

connection!(
    /// Page of published versions, newest first.
    OperationVersionConnection(OperationVersionFilter) {
        nodes: Vec<OperationVersion> = "Versions of the page.",
        edges: Vec<OperationVersionEdge> = "Versions of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of versions that match the filter, across all pages.",
    }
);

paged_list!(
    OperationVersionFilter,
    operation_version::Model,
    |filter, db, request| queries::list_versions(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| queries::count_versions(db, filter)
);

payload!(
    /// Payload of the mutations of published versions.
    OperationVersionPayload {
        /// Version after the mutation; null if nothing was changed.
        operation_version: OperationVersion
    }
);

/// Queries of published versions.
#[derive(Debug, Default)]
pub struct OperationQuery;

#[Object]
impl OperationQuery {
    /// Published versions of apps, newest first, paginated.
    #[graphql(
        guard = "RequirePermission(Permission::OperationWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn operation_versions(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<OperationVersionFilterInput>,
    ) -> Result<Option<OperationVersionConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let OperationVersionFilterInput { app, is_retired } = filter.unwrap_or_default();
        Ok(Some(OperationVersionConnection::new(OperationVersionFilter { app, is_retired }, page_request)))
    }
}

/// Mutations of published versions.
#[derive(Debug, Default)]
pub struct OperationMutation;

#[Object]
impl OperationMutation {
    /// Publishes the operations of a version of an app. Publishing a version again with the same operations changes
    /// nothing; with other operations it is an error.
    #[graphql(guard = "RequirePermission(Permission::OperationWrite)")]
    async fn operation_version_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Version to publish.")] input: OperationVersionPublishInput,
    ) -> Result<Option<OperationVersionPayload>> {
        let context = request_context(ctx);
        let OperationVersionPublishInput { app, version, manifest } = input;
        let published = async {
            let manifest = manifest::parse_manifest(&manifest)?;
            let request = PublishRequest { app, version, manifest };
            let publication = publishing::prepare_publication(&context.app_state, request, || {}).await?;
            operations::publish_version(&context.db, publication).await
        };
        OperationVersionPayload::from_result(published.await.map(operations::PublishOutcome::into_version))
    }

    /// Retires a version of an app: within a second, requests for operations that no other version has are rejected.
    #[graphql(guard = "RequirePermission(Permission::OperationWrite)")]
    async fn operation_version_retire(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the version.")] id: ID,
    ) -> Result<Option<OperationVersionPayload>> {
        let retired = async {
            let version_id = GlobalId::decode_as(&id, NodeType::OperationVersion, "id")?;
            operations::retire_version(&request_context(ctx).db, version_id).await
        };
        OperationVersionPayload::from_result(retired.await)
    }
}
