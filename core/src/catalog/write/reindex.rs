//! Rebuilding the words of products, after an upgrade that divides or normalizes texts in another way. Searches find the
//! previous words until a product's turn comes.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};
use serde::{Deserialize, Serialize};

use super::{apply::normalize_product_names, persist::index_products};
use crate::{
    base::{Error, Result},
    catalog::{
        category_tree,
        entity::product,
        search::{entity::search_index_version, rules},
    },
    infra::{
        Db, JobContext, Tx,
        jobs::{BackgroundJob, JobOutcome},
    },
};

/// Version of the words of products. To be incremented by a change of how texts are divided into words or normalized.
pub const INDEX_VERSION: i32 = 1;
/// Number of products that are indexed in one transaction.
const BATCH_SIZE: u64 = 200;
/// Id of the only row.
const VERSION_ID: i64 = 1;

/// Indexes the products behind an id again.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReindexProducts {
    /// Version of the words.
    pub version: i32,
    /// Id of the last product that is indexed.
    pub after: i64,
}

impl BackgroundJob for ReindexProducts {
    const KIND: &'static str = "search.reindex";

    fn dedup_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.version, self.after))
    }
}

/// Enqueues the job that indexes all products again, if their words are of an earlier version. Statements: 1, with the job 2.
pub async fn reindex_if_outdated(db: &Db) -> Result<()> {
    if load_version(db).await? < INDEX_VERSION { enqueue_reindex(db).await } else { Ok(()) }
}

/// Enqueues the job that indexes all products again.
pub async fn enqueue_reindex(db: &Db) -> Result<()> {
    db.write(async |tx| tx.enqueue_job(ReindexProducts { version: INDEX_VERSION, after: 0 }).await).await
}

/// Runs [`ReindexProducts`]: indexes a batch of products, and enqueues the next one.
pub async fn run_reindex_job(context: &JobContext, job: ReindexProducts) -> JobOutcome {
    if job.version != INDEX_VERSION {
        return JobOutcome::Retry(format!("this worker writes words of version {INDEX_VERSION}, not {}", job.version));
    }
    context.db.write_with_retry(async |tx| reindex_batch(tx, &job).await).await.into()
}

async fn reindex_batch(tx: &Tx, job: &ReindexProducts) -> Result<()> {
    // The lock order of all writers: the tree, then products by id.
    category_tree::lock_category_tree(tx).await?;
    let locked = product::Entity::find()
        .filter(product::Column::Id.gt(job.after))
        .order_by_asc(product::Column::Id)
        .limit(BATCH_SIZE)
        .lock(LockType::NoKeyUpdate);
    let products = locked.all(tx).await?;
    let Some(after) = products.last().map(|product| product.id) else {
        let version = search_index_version::ActiveModel { id: Set(VERSION_ID), version: Set(job.version) };
        version.update(tx).await?;
        // The cached results of searches are of the previous words.
        return rules::announce_change(tx).await;
    };
    let ids: Vec<i64> = products.iter().map(|product| product.id).collect();
    let mut renamed = Vec::new();
    for product in products {
        let mut current = product.clone();
        normalize_product_names(&mut current);
        if current != product {
            renamed.push(product::ActiveModel {
                id: Unchanged(current.id),
                name_normalized: Set(current.name_normalized),
                vendor_normalized: Set(current.vendor_normalized),
                ..Default::default()
            });
        }
    }
    tx.update_rows(&renamed).await?;
    index_products(tx, &ids).await?;
    tx.enqueue_job(ReindexProducts { version: job.version, after }).await
}

async fn load_version(db: &impl ConnectionTrait) -> Result<i32> {
    let row = search_index_version::Entity::find_by_id(VERSION_ID).one(db).await?;
    let missing = || Error::internal("reading the version of the words of products", "the table has no row");
    Ok(row.ok_or_else(missing)?.version)
}
