//! The audit log: who changed what.

use async_graphql::{Context, Enum, ID, InputObject, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    connection::{self, PageInfo},
    context::scope,
    guard::Can,
};
use crate::{
    base::{
        Error, GlobalId, Result,
        id::Kind,
        page::{self, Window},
    },
    identity::Permission,
    infra::{
        Actor,
        audit::{self, Line, Wanted},
    },
};

/// Which changes are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct AuditFilter {
    /// Made by this account, or with this API key.
    actor_id: Option<ID>,
    /// What was done, exactly: `product.update`.
    action: Option<String>,
    /// Done to this thing.
    thing_id: Option<ID>,
    /// From this moment on.
    since: Option<DateTime<Utc>>,
    /// Up to, but not including, this moment.
    until: Option<DateTime<Utc>>,
}

/// What kind of actor made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ActorKind {
    /// Somebody who had not signed in.
    Nobody,
    /// The shop itself: a command, a job.
    System,
    /// A person, by account.
    Account,
    /// A machine, by its API key.
    ApiKey,
}

/// One change of one thing.
#[derive(Debug, Clone)]
pub struct AuditEntry(Line);

/// One change of one thing.
#[Object]
impl AuditEntry {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::AuditEntry, self.0.id).encode().into()
    }

    /// What kind of actor made the change.
    async fn actor_kind(&self) -> ActorKind {
        match self.0.actor_kind.as_str() {
            "account" => ActorKind::Account,
            "api_key" => ActorKind::ApiKey,
            "system" => ActorKind::System,
            _ => ActorKind::Nobody,
        }
    }

    /// The id of the account or of the API key; null for the shop itself, and for somebody who had not signed in.
    async fn actor_id(&self) -> Option<ID> {
        let kind = if self.0.actor_kind == "api_key" { Kind::ApiKey } else { Kind::Customer };
        self.0.actor_id.map(|key| GlobalId::new(kind, key).encode().into())
    }

    /// What was done: `product.update`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// The id of what it was done to, whether it is still there or not.
    async fn thing_id(&self) -> Option<ID> {
        Kind::named(&self.0.thing_kind).map(|kind| GlobalId::new(kind, self.0.thing_id).encode().into())
    }

    /// What it was, as far as it changed; null for what was made.
    async fn before(&self) -> Option<Json<Value>> {
        self.0.before.clone().map(Json)
    }

    /// What it became, as far as it changed; null for what was removed.
    async fn after(&self) -> Option<Json<Value>> {
        self.0.after.clone().map(Json)
    }

    /// The request in which it was done; empty for what the shop did itself.
    async fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// When it was done.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

/// A change and its place in the log.
#[derive(Debug, SimpleObject)]
pub struct AuditEdge {
    /// Where the change stands in the log; the next page comes `after` it.
    cursor: String,
    /// The change.
    node: AuditEntry,
}

/// A page of the audit log, newest first.
#[derive(Debug, SimpleObject)]
pub struct AuditConnection {
    /// The changes of the page.
    nodes: Vec<AuditEntry>,
    /// The changes of the page, each with its cursor.
    edges: Vec<AuditEdge>,
    /// Where the page lies in the log.
    page_info: PageInfo,
}

/// The audit log's part of the query root.
#[derive(Debug, Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// Who changed what, newest first, page by page. One statement.
    #[graphql(guard = "Can(Permission::AuditRead)", complexity = "connection::cost(first, last, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, from 0 to 100; 20 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor. Goes with `first`.")] after: Option<String>,
        #[graphql(desc = "The last so many, from 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor. Goes with `last`.")] before: Option<String>,
        #[graphql(desc = "Which changes. Everything said must hold.")] filter: Option<AuditFilter>,
    ) -> Result<AuditConnection> {
        let window = Window::new(first, after, last, before)?;
        let page = audit::page(&scope(ctx).db, &filter.unwrap_or_default().read()?, &window).await?;
        let page_info = PageInfo::of(&page, Line::cursor);
        let edge = |line: &Line| AuditEdge { cursor: line.cursor(), node: AuditEntry(line.clone()) };
        let edges = page.rows.iter().map(edge).collect();
        Ok(AuditConnection { edges, nodes: page.rows.into_iter().map(AuditEntry).collect(), page_info })
    }
}

impl AuditFilter {
    fn read(self) -> Result<Wanted> {
        let Self { actor_id, action, thing_id, since, until } = self;
        let actor = |id: ID| match GlobalId::decode(&id, "filter.actorId")? {
            GlobalId { kind: Kind::Customer, key } => Ok(Actor::Account(key)),
            GlobalId { kind: Kind::ApiKey, key } => Ok(Actor::ApiKey(key)),
            _ => Err(Error::bad_input("filter.actorId", "the id of an account or of an API key is needed")),
        };
        let thing = thing_id.map(|id| GlobalId::decode(&id, "filter.thingId")).transpose()?;
        for (field, at) in [("filter.since", since), ("filter.until", until)] {
            if at.is_some_and(|at| !page::in_range(&at)) {
                return Err(Error::bad_input(field, "the year must be from 1 to 9999"));
            }
        }
        let thing = thing.map(|id| (id.kind.name(), id.key));
        Ok(Wanted { actor: actor_id.map(actor).transpose()?, action, thing, since, until })
    }
}
