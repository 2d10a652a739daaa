//! Ranking of search results, managed by staff.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    catalog::search::ranking::{self, BoostedAttribute, SearchBoost, SearchRankingPatch},
    graphql::{context::request_context, guard::RequirePermission, input::reject_null, payload::payload},
    identity::Permission,
};

/// Attribute of products that are boosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "BoostedAttribute")]
pub enum SearchBoostAttribute {
    /// Featured products; without a value.
    Featured,
    /// Products of a vendor.
    Vendor,
    /// Products with a tag, such as a class of margins.
    Tag,
}

/// By how much newer than it is a product with an attribute is ranked.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "SearchBoost")]
pub struct SearchBoostObject {
    /// Attribute.
    attribute: SearchBoostAttribute,
    /// Vendor or tag; null for featured products.
    value: Option<String>,
    /// Number of days; negative: older than it is.
    days: i32,
}

/// Ranking of search results: what is preferred among products that match a search equally well.
#[derive(Debug, Clone)]
pub struct SearchRanking(ranking::RankingSettings);

impl From<ranking::RankingSettings> for SearchRanking {
    fn from(ranking: ranking::RankingSettings) -> Self {
        Self(ranking)
    }
}

/// Ranking of search results: what is preferred among products that match a search equally well.
#[Object]
impl SearchRanking {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::SearchRanking, ranking::RANKING_ID).encode().into()
    }

    /// Whether products that are sold out are behind all others that match equally well.
    async fn sold_out_last(&self) -> bool {
        self.0.sold_out_last
    }

    /// Boosts. Those of one product are added.
    async fn boosts(&self) -> Vec<SearchBoostObject> {
        let to_object = |SearchBoost { attribute, value, days }: &SearchBoost| SearchBoostObject {
            attribute: (*attribute).into(),
            value: value.clone(),
            days: *days,
        };
        self.0.boosts.iter().map(to_object).collect()
    }

    /// Version number, incremented by every update; pass it as `expectedVersion` for optimistic locking.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// Boost of the products with an attribute.
#[derive(Debug, InputObject)]
pub struct SearchBoostInput {
    /// Attribute.
    attribute: SearchBoostAttribute,
    /// Vendor or tag, of at most 200 characters; none for featured products.
    value: Option<String>,
    /// By how many days newer than they are the products are ranked, from -3650 to 3650, not 0.
    days: i32,
}

/// Input of `searchRankingUpdate`. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct SearchRankingUpdateInput {
    /// Whether products that are sold out are behind all others that match equally well.
    sold_out_last: MaybeUndefined<bool>,
    /// Boosts, at most 50, which replace the previous ones.
    boosts: MaybeUndefined<Vec<SearchBoostInput>>,
}

payload!(
    /// Payload of `searchRankingUpdate`.
    SearchRankingPayload {
        /// Ranking after the change; null if nothing was written.
        search_ranking: SearchRanking
    }
);

/// Query of the ranking.
#[derive(Debug, Default)]
pub struct SearchRankingQuery;

#[Object]
impl SearchRankingQuery {
    /// Ranking of search results.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_ranking(&self, ctx: &Context<'_>) -> Result<Option<SearchRanking>> {
        let ranking = ranking::load_search_ranking(&request_context(ctx).db).await?;
        Ok(Some(SearchRanking(ranking)))
    }
}

/// Mutation of the ranking.
#[derive(Debug, Default)]
pub struct SearchRankingMutation;

#[Object]
impl SearchRankingMutation {
    /// Updates the ranking of search results. It is in effect for products that change from then on; a job ranks the
    /// others, 500 at a time. `ALREADY_EXISTS` for two boosts of one attribute and value.
    #[graphql(guard = "RequirePermission(Permission::CatalogWrite)")]
    async fn search_ranking_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Fields to update.")] input: SearchRankingUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<SearchRankingPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let SearchRankingUpdateInput { sold_out_last, boosts } = input;
            let boosts = reject_null(boosts, false, "input.boosts")?;
            let patch = SearchRankingPatch {
                sold_out_last: reject_null(sold_out_last, false, "input.soldOutLast")?,
                boosts: boosts.map(|boosts| boosts.into_iter().map(Into::into).collect()),
            };
            ranking::update_search_ranking(&context.db, expected_version, patch).await
        };
        SearchRankingPayload::from_result(context.apply_search_rules(updated.await).await)
    }
}

impl From<SearchBoostInput> for SearchBoost {
    fn from(SearchBoostInput { attribute, value, days }: SearchBoostInput) -> Self {
        Self { attribute: attribute.into(), value, days }
    }
}
