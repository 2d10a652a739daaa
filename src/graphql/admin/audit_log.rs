//! The audit log: changes with their actors.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, Enum, ID, InputObject, Json, Object};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    base::{
        Error, GlobalId, Result,
        global_id::NodeType,
        pagination::{PageRequest, is_storable_time},
    },
    graphql::{
        guard::RequirePermission,
        node::{Node, find_node},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        scalars::DateTimeRangeInput,
    },
    identity::Permission,
    infra::{
        self, Actor,
        audit_log::{self, AuditRow, AuditRowFilter},
    },
};

/// Filter for audit log entries. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct AuditFilter {
    /// ID of the account or API key that made the change.
    actor_id: Option<ID>,
    /// Exact action name, such as `product.update`.
    action: Option<String>,
    /// ID of the changed entity.
    entity_id: Option<ID>,
    /// Time range of the change.
    created_at: Option<DateTimeRangeInput>,
}

/// Kind of actor that made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "infra::ActorKind", name = "ActorKind")]
pub enum AuditActorKind {
    /// Anonymous caller.
    Anonymous,
    /// The system: a command or a background job.
    System,
    /// Customer or staff account.
    Account,
    /// API key.
    ApiKey,
}

/// Audit log entry: one change of one entity.
#[derive(Debug, Clone)]
pub struct AuditEntry(AuditRow);

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self(row)
    }
}

/// Audit log entry: one change of one entity.
#[Object]
impl AuditEntry {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::AuditEntry, self.0.id).encode().into()
    }

    /// Kind of actor that made the change.
    async fn actor_kind(&self) -> AuditActorKind {
        self.0.actor_kind.into()
    }

    /// ID of the account or API key; null for system and anonymous changes.
    async fn actor_id(&self) -> Option<ID> {
        let kind = if self.0.actor_kind == infra::ActorKind::ApiKey { NodeType::ApiKey } else { NodeType::Account };
        self.0.actor_id.map(|actor_key| GlobalId::new(kind, actor_key).encode().into())
    }

    /// Action name, such as `product.update`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// ID of the changed entity, which may have been deleted since.
    async fn entity_id(&self) -> Option<ID> {
        NodeType::from_name(&self.0.entity_type).map(|kind| GlobalId::new(kind, self.0.entity_id).encode().into())
    }

    /// Changed entity; null if it was deleted or the caller may not see it.
    async fn entity(&self, ctx: &Context<'_>) -> Result<Option<Node>> {
        let Some(node_type) = NodeType::from_name(&self.0.entity_type) else { return Ok(None) };
        Box::pin(find_node(ctx, GlobalId::new(node_type, self.0.entity_id))).await
    }

    /// Changed fields before the change; null for a creation.
    async fn before(&self) -> Option<Json<Value>> {
        self.0.before.clone().map(Json)
    }

    /// Changed fields after the change; null for a deletion.
    async fn after(&self) -> Option<Json<Value>> {
        self.0.after.clone().map(Json)
    }

    /// ID of the request that made the change; empty for system changes.
    async fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Time of the change.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

edge!(
    /// Audit log entry with its cursor.
    AuditEdge { cursor = "Cursor of the entry.", node: AuditEntry = "Audit log entry." }
);

connection!(
    /// Page of the audit log, newest first.
    AuditConnection(AuditRowFilter) {
        nodes: Vec<AuditEntry> = "Entries of the page.",
        edges: Vec<AuditEdge> = "Entries of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of entries that match the filter, across all pages.",
    }
);

paged_list!(
    AuditRowFilter,
    AuditRow,
    |filter, db, request| audit_log::list_audit_rows(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| audit_log::count_audit_rows(db, filter)
);

/// Audit log queries.
#[derive(Debug, Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Audit log entries, newest first, paginated.
    #[graphql(
        guard = "RequirePermission(Permission::AuditRead)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn audit_log(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<AuditFilter>,
    ) -> Result<Option<AuditConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        Ok(Some(AuditConnection::new(filter.unwrap_or_default().into_audit_filter()?, page_request)))
    }
}

impl AuditFilter {
    fn into_audit_filter(self) -> Result<AuditRowFilter> {
        let Self { actor_id, action, entity_id, created_at } = self;
        let (since, until) = created_at.unwrap_or_default().into_range();
        let parse_actor = |id: ID| match GlobalId::decode(&id, "filter.actorId")? {
            GlobalId { node_type: NodeType::Account, key: actor_key } => Ok(Actor::Account(actor_key)),
            GlobalId { node_type: NodeType::ApiKey, key: actor_key } => Ok(Actor::ApiKey(actor_key)),
            _ => Err(Error::bad_input("filter.actorId", "this must be the id of an account or of an API key")),
        };
        let entity = entity_id.map(|id| GlobalId::decode(&id, "filter.entityId")).transpose()?;
        for (field, time) in [("filter.createdAt.from", since), ("filter.createdAt.to", until)] {
            if time.is_some_and(|time| !is_storable_time(&time)) {
                return Err(Error::bad_input(field, "the year must be from 1 to 9999"));
            }
        }
        let entity = entity.map(|id| (id.node_type.name(), id.key));
        Ok(AuditRowFilter { actor: actor_id.map(parse_actor).transpose()?, action, entity, since, until })
    }
}
