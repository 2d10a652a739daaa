//! Ranking of search results: what staff prefer among equally good matches.
//!
//! Within a tier, products are sorted by `ranked_at`: the time of their creation, moved by boosts. Triggers keep it current
//! while products change; after a change of the ranking, a job brings the products up to date in batches.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder,
    QuerySelect, sea_query::LockType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    entity::{search_boost, search_ranking},
    rules,
};
pub use crate::catalog::search::entity::BoostedAttribute;
use crate::{
    base::{
        Error, Result, Validator, VersionedTarget, error::PublicErrorCode, global_id::NodeType, text,
        validation::InputScope,
    },
    catalog::{
        category_tree, entity::product, product_lock::lock_products, queries::search_ranking as ranking_queries,
    },
    infra::{
        AuditRecord, Db, JobContext, Tx,
        jobs::{BackgroundJob, JobOutcome},
    },
};

/// Maximum number of boosts.
const MAX_BOOSTS: usize = 50;
/// Maximum number of days by which a boost moves a product; fifty of them are less than sold-out products are moved.
pub const MAX_BOOST_DAYS: i32 = 3_650;
/// Maximum length of a vendor or tag.
const MAX_VALUE_LENGTH: usize = 200;
/// Number of products that are ranked in one transaction.
const RANKED_BATCH: u64 = 500;
/// Id of the only row.
pub const RANKING_ID: i64 = 1;

/// What staff prefer among equally good matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankingSettings {
    /// Whether products that are sold out are behind all others of a tier.
    pub sold_out_last: bool,
    /// The boosts, in the order of staff.
    pub boosts: Vec<SearchBoost>,
    /// The version.
    pub version: i32,
}

/// By how much newer than it is a product with an attribute is ranked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchBoost {
    /// The attribute.
    pub attribute: BoostedAttribute,
    /// The vendor or the tag; `None` for featured products.
    pub value: Option<String>,
    /// Days, negative for older.
    pub days: i32,
}

/// The fields to set on the ranking. `None`: unchanged.
#[derive(Debug, Default)]
pub struct SearchRankingPatch {
    /// Whether products that are sold out are behind all others of a tier.
    pub sold_out_last: Option<bool>,
    /// The boosts, which replace the previous ones.
    pub boosts: Option<Vec<SearchBoost>>,
}

/// Ranks the products behind an id by the current ranking.
#[derive(Debug, Serialize, Deserialize)]
pub struct RankProducts {
    /// Version of the ranking that the job was enqueued for. A later version has its own job.
    pub version: i32,
    /// Id of the last product that is ranked.
    pub after: i64,
}

impl BackgroundJob for RankProducts {
    const KIND: &'static str = "search.rank";

    fn ordering_key(&self) -> Option<String> {
        Some("ranking".to_owned())
    }
}

/// Returns the ranking. Statements: 2.
pub async fn load_search_ranking(db: &impl ConnectionTrait) -> Result<RankingSettings> {
    let row = search_ranking::Entity::find_by_id(RANKING_ID).one(db).await?;
    load_boosts(db, row.ok_or_else(missing_row)?).await
}

/// Updates the ranking, and enqueues the job that ranks the products. The version is unchanged if no value changes.
///
/// # Errors
/// Returns `VersionConflict`, or `BadUserInput` if a field is invalid.
pub async fn update_search_ranking(
    db: &Db,
    expected_version: Option<i32>,
    patch: SearchRankingPatch,
) -> Result<RankingSettings> {
    validate(&patch)?;
    db.write(async |tx| {
        // Writers of products hold this lock: those that follow rank their products by the new ranking.
        category_tree::lock_category_tree(tx).await?;
        let row = search_ranking::Entity::find_by_id(RANKING_ID).lock(LockType::NoKeyUpdate).one(tx).await?;
        let row = row.ok_or_else(missing_row)?;
        VersionedTarget { id: RANKING_ID, scope: (), expected_version }.check_version(row.version)?;
        let before = load_boosts(tx, row.clone()).await?;
        let mut after = before.clone();
        after.sold_out_last = patch.sold_out_last.unwrap_or(before.sold_out_last);
        if let Some(boosts) = &patch.boosts {
            after.boosts.clone_from(boosts);
        }
        let entity = (NodeType::SearchRanking, RANKING_ID);
        let (old_values, new_values) = (to_audit_json(&before), to_audit_json(&after));
        let Some(record) = AuditRecord::updated("search_ranking.update", entity, &old_values, &new_values) else {
            return Ok(before);
        };
        after.version += 1;
        search_ranking::ActiveModel {
            sold_out_last: Set(after.sold_out_last),
            version: Set(after.version),
            ..row.into_active_model()
        }
        .update(tx)
        .await?;
        replace_boosts(tx, &after.boosts).await?;
        tx.record_audit(&[record]).await?;
        tx.enqueue_job(RankProducts { version: after.version, after: 0 }).await?;
        rules::announce_change(tx).await?;
        Ok(after)
    })
    .await
}

/// Runs [`RankProducts`]: ranks a batch of products, and enqueues the next one.
pub async fn run_rank_job(context: &JobContext, job: RankProducts) -> JobOutcome {
    context.db.write_with_retry(async |tx| rank_batch(tx, &job).await).await.into()
}

async fn rank_batch(tx: &Tx, job: &RankProducts) -> Result<()> {
    let ranking = search_ranking::Entity::find_by_id(RANKING_ID).one(tx).await?.ok_or_else(missing_row)?;
    if ranking.version != job.version {
        return Ok(());
    }
    let products = lock_products(tx, product::Column::Id.gt(job.after), Some(RANKED_BATCH)).await?;
    let Some(after) = products.last().copied() else {
        // The cached results of searches are of the previous ranking.
        return rules::announce_change(tx).await;
    };
    ranking_queries::rank_products(tx, &products).await?;
    tx.enqueue_job(RankProducts { version: job.version, after }).await
}

async fn load_boosts(db: &impl ConnectionTrait, row: search_ranking::Model) -> Result<RankingSettings> {
    let boosts = search_boost::Entity::find().order_by_asc(search_boost::Column::Position).all(db).await?;
    let to_boost =
        |boost: search_boost::Model| SearchBoost { attribute: boost.attribute, value: boost.value, days: boost.days };
    let search_ranking::Model { sold_out_last, version, .. } = row;
    Ok(RankingSettings { sold_out_last, boosts: boosts.into_iter().map(to_boost).collect(), version })
}

async fn replace_boosts(tx: &Tx, boosts: &[SearchBoost]) -> Result<()> {
    search_boost::Entity::delete_many().exec(tx).await?;
    if boosts.is_empty() {
        return Ok(());
    }
    let rows = (0..).zip(boosts).map(|(position, boost)| search_boost::ActiveModel {
        position: Set(position),
        attribute: Set(boost.attribute),
        value: Set(boost.value.clone()),
        value_normalized: Set(boost.value.as_deref().map(text::normalize_text)),
        days: Set(boost.days),
    });
    search_boost::Entity::insert_many(rows).exec(tx).await?;
    Ok(())
}

fn validate(patch: &SearchRankingPatch) -> Result<()> {
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    let boosts = patch.boosts.as_deref().unwrap_or_default();
    input.check_count("boosts", boosts.len(), MAX_BOOSTS);
    let mut known = Vec::new();
    for (index, boost) in boosts.iter().take(MAX_BOOSTS).enumerate() {
        validate_boost(&mut input, index, boost);
        let key = (boost.attribute, boost.value.as_deref().map(text::normalize_text));
        if known.contains(&key) {
            let message = "there is another boost of this attribute";
            input.reject_as(PublicErrorCode::AlreadyExists, &format!("boosts.{index}"), message);
        }
        known.push(key);
    }
    validator.finish()
}

fn validate_boost(input: &mut InputScope<'_>, index: usize, boost: &SearchBoost) {
    let field = |name: &str| format!("boosts.{index}.{name}");
    if boost.days == 0 || boost.days.abs() > MAX_BOOST_DAYS {
        input.reject(&field("days"), format!("days from -{MAX_BOOST_DAYS} to {MAX_BOOST_DAYS}, not 0"));
    }
    match (boost.attribute, boost.value.as_deref()) {
        (BoostedAttribute::Featured, Some(_)) => input.reject(&field("value"), "featured products have no value"),
        (_, Some(value)) if text::normalize_text(value).is_empty() || value.chars().count() > MAX_VALUE_LENGTH => {
            input.reject(&field("value"), format!("a text of 1 to {MAX_VALUE_LENGTH} characters"));
        }
        (BoostedAttribute::Featured, None) | (_, Some(_)) => {}
        (_, None) => input.reject(&field("value"), "the vendor or the tag is missing"),
    }
}

fn to_audit_json(ranking: &RankingSettings) -> Value {
    let boosts: Vec<Value> = ranking
        .boosts
        .iter()
        .map(|SearchBoost { attribute, value, days }| json!({ "attribute": attribute, "value": value, "days": days }))
        .collect();
    json!({ "soldOutLast": ranking.sold_out_last, "boosts": boosts })
}

fn missing_row() -> Error {
    Error::internal("reading the ranking of searches", "the table has no row")
}
