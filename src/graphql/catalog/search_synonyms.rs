//! Synonyms of the search, managed by staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};

use crate::{
    base::{GlobalId, LanguageCode, Patch, Result, global_id::NodeType, pagination::PageRequest},
    catalog::{
        queries::search_rules,
        search::{
            entity::search_synonym_group,
            synonym_admin::{self, SynonymGroupPatch},
        },
    },
    graphql::{
        context::request_context,
        guard::RequirePermission,
        input::{parse_target, reject_null, to_patch},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
        scalars::LanguageScalar,
    },
    identity::Permission,
};

/// Synonyms of the search: two-way, or from a term to others.
#[derive(Debug, Clone)]
pub struct SearchSynonymGroup(search_synonym_group::Model);

impl From<search_synonym_group::Model> for SearchSynonymGroup {
    fn from(row: search_synonym_group::Model) -> Self {
        Self(row)
    }
}

/// Synonyms of the search: two-way, or from a term to others.
#[Object]
impl SearchSynonymGroup {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::SearchSynonymGroup, self.0.id).encode().into()
    }

    /// Term that also finds products with a synonym (one-way); null if each synonym also finds the others (two-way).
    async fn term(&self) -> Option<&str> {
        self.0.term.as_deref()
    }

    /// Synonyms, at most 20.
    async fn synonyms(&self) -> Vec<String> {
        self.0.synonym_texts()
    }

    /// Language of the searches that the group applies to; null for all languages.
    async fn language(&self) -> Option<LanguageScalar> {
        self.0.language.map(LanguageScalar)
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last update.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// All synonym groups.
#[derive(Debug, Clone, Copy)]
pub struct SynonymGroupList;

edge!(
    /// Synonym group with its cursor.
    SearchSynonymGroupEdge { cursor = "Cursor of the synonym group.", node: SearchSynonymGroup = "Synonym group." }
);

connection!(
    /// Page of synonym groups, newest first.
    SearchSynonymGroupConnection(SynonymGroupList) {
        nodes: Vec<SearchSynonymGroup> = "Synonym groups of the page.",
        edges: Vec<SearchSynonymGroupEdge> = "Synonym groups of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of synonym groups, across all pages.",
    }
);

paged_list!(
    SynonymGroupList,
    search_synonym_group::Model,
    |_list, db, request| search_rules::list_synonym_groups(db, request),
    |_, row| row.cursor(),
    |_list, db| search_rules::count_synonym_groups(db)
);

/// Input of `searchSynonymGroupCreate`.
#[derive(Debug, InputObject)]
pub struct SearchSynonymGroupCreateInput {
    /// Term that also finds products with a synonym (one-way), such as `laptop`; omit it for a two-way group, of which
    /// each synonym also finds the others. One line of at most 100 characters and 5 words; unique for its language.
    term: Option<String>,
    /// Synonyms, such as `["sofa", "couch", "settee"]`: 2 to 20, with a term 1 to 20. Each one line of at most 100
    /// characters and 5 words.
    synonyms: Vec<String>,
    /// Language of the searches that the group applies to; all languages by default.
    language: Option<LanguageScalar>,
}

/// Input of `searchSynonymGroupUpdate`. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct SearchSynonymGroupUpdateInput {
    /// Term that also finds products with a synonym; null makes the group two-way.
    term: MaybeUndefined<String>,
    /// Synonyms, which replace the previous ones: 2 to 20, with a term 1 to 20.
    synonyms: MaybeUndefined<Vec<String>>,
    /// Language of the searches that the group applies to; null for all languages.
    language: MaybeUndefined<LanguageScalar>,
}

payload!(
    /// Payload of `searchSynonymGroupCreate` and `searchSynonymGroupUpdate`.
    SearchSynonymGroupPayload {
        /// Synonym group after the change; null if nothing was written.
        search_synonym_group: SearchSynonymGroup
    }
);

payload!(
    /// Payload of `searchSynonymGroupDelete`.
    SearchSynonymGroupDeletePayload {
        /// ID of the deleted synonym group; null if it was not deleted.
        deleted_id: ID
    }
);

/// Queries of synonyms.
#[derive(Debug, Default)]
pub struct SearchSynonymQuery;

#[Object]
impl SearchSynonymQuery {
    /// Synonym groups of the search, newest first, paginated. At most 2,000. One group: `node`.
    #[graphql(
        guard = "RequirePermission(Permission::CatalogWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    #[expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]
    async fn search_synonym_groups(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
    ) -> Result<Option<SearchSynonymGroupConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        Ok(Some(SearchSynonymGroupConnection::new(SynonymGroupList, page_request)))
    }
}

/// Mutations of synonyms.
#[derive(Debug, Default)]
pub struct SearchSynonymMutation;

#[Object]
impl SearchSynonymMutation {
    /// Creates a group of synonyms of the search. `VALIDATION_ERROR` for a term without letters or digits, one with more
    /// than 5 words, or one that the group has twice; `ALREADY_EXISTS` if the term has a group in the language;
    /// `ILLEGAL_TRANSITION` if there are 2,000 groups.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_synonym_group_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Synonym group to create.")] input: SearchSynonymGroupCreateInput,
    ) -> Result<Option<SearchSynonymGroupPayload>> {
        let context = request_context(ctx);
        let SearchSynonymGroupCreateInput { term, synonyms, language } = input;
        let patch = SynonymGroupPatch {
            term: Patch::from_provided(term),
            synonyms: Some(synonyms),
            language: Patch::from_provided(language.map(LanguageCode::from)),
        };
        let created = synonym_admin::create_synonym_group(&context.db, patch).await;
        SearchSynonymGroupPayload::from_result(context.apply_search_rules(created).await)
    }

    /// Updates a group of synonyms of the search; errors as for `searchSynonymGroupCreate`.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_synonym_group_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the synonym group.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: SearchSynonymGroupUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<SearchSynonymGroupPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target = parse_target(&id, NodeType::SearchSynonymGroup, (), expected_version)?;
            let SearchSynonymGroupUpdateInput { term, synonyms, language } = input;
            let synonyms = reject_null(synonyms, false, "input.synonyms")?;
            let patch = SynonymGroupPatch {
                term: to_patch(term),
                synonyms,
                language: to_patch(language).map(LanguageCode::from),
            };
            synonym_admin::update_synonym_group(&context.db, target, patch).await
        };
        SearchSynonymGroupPayload::from_result(context.apply_search_rules(updated.await).await)
    }

    /// Deletes a group of synonyms of the search.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_synonym_group_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the synonym group.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<SearchSynonymGroupDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let target = parse_target(&id, NodeType::SearchSynonymGroup, (), expected_version)?;
            synonym_admin::delete_synonym_group(&context.db, target).await
        };
        let deleted = context.apply_search_rules(deleted.await).await;
        let to_id = |group_id| GlobalId::new(NodeType::SearchSynonymGroup, group_id).encode();
        SearchSynonymGroupDeletePayload::from_result(deleted.map(to_id))
    }
}
