//! Statements of pictures.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};

use super::{
    MediaToken,
    entity::{MediaStatus, media},
};
use crate::{
    base::{
        Result,
        pagination::{Page, PageRequest},
    },
    infra::{Db, SqlBuilder, Tx, eq_any, keyset, keyset::KeysetOrder},
};

/// Newest first.
const MEDIA_ORDER: KeysetOrder = KeysetOrder { tag: 'm', columns: &[], id_column: "m.id", descending: true };

/// A filter of pictures. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default)]
pub struct MediaFilter {
    /// The status.
    pub status: Option<MediaStatus>,
}

impl media::Model {
    /// Returns the cursor of the picture.
    #[must_use]
    pub fn cursor(&self) -> String {
        MEDIA_ORDER.cursor(Vec::new(), self.id)
    }
}

impl MediaFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { status } = self;
        sql.push(" WHERE true");
        if let Some(status) = status {
            sql.push(" AND m.status = ").bind(*status);
        }
    }
}

/// Returns a page of pictures, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_media(db: &Db, filter: &MediaFilter, request: &PageRequest) -> Result<Page<media::Model>> {
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<media::Entity>("m").push(" FROM media AS m");
    filter.push_conditions(&mut sql);
    MEDIA_ORDER.load_page(db, sql, request).await
}

/// Returns the number of pictures. Statements: 1.
pub async fn count_media(db: &Db, filter: &MediaFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM media AS m");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

/// Returns pictures by token. Statements: 1.
pub async fn load_by_tokens(
    db: &impl ConnectionTrait,
    tokens: &[MediaToken],
) -> Result<HashMap<MediaToken, media::Model>> {
    let condition = eq_any(db, media::Column::Token, tokens.iter().map(MediaToken::to_string));
    let rows = media::Entity::find().filter(condition).all(db).await?;
    Ok(rows.into_iter().filter_map(|row| Some((MediaToken::parse(&row.token)?, row))).collect())
}

/// Locks pictures, in the order of their ids, so that they are not deleted before the transaction ends. Statements: 1.
pub async fn lock_shared(tx: &Tx, ids: &[i64], tokens: &[String]) -> Result<Vec<media::Model>> {
    let by_id = eq_any(tx, media::Column::Id, ids.iter().copied());
    let by_token = eq_any(tx, media::Column::Token, tokens.iter().cloned());
    let query = media::Entity::find().filter(sea_orm::Condition::any().add(by_id).add(by_token));
    Ok(query.order_by_asc(media::Column::Id).lock_shared().all(tx).await?)
}

/// Locks a picture for a change. Statements: 1.
pub async fn lock_media(tx: &Tx, media_id: i64) -> Result<Option<media::Model>> {
    Ok(media::Entity::find_by_id(media_id).lock_exclusive().one(tx).await?)
}

/// Returns the picture whose upload has a secret with this digest. Statements: 1.
pub async fn find_upload(db: &impl ConnectionTrait, digest: &[u8], now: DateTime<Utc>) -> Result<Option<media::Model>> {
    let query = media::Entity::find()
        .filter(media::Column::UploadDigest.eq(digest.to_vec()))
        .filter(media::Column::UploadExpiresAt.gt(now))
        .filter(media::Column::Status.eq(MediaStatus::Pending));
    Ok(query.one(db).await?)
}

/// Returns pictures with a file that were created before a time, after an id. Statements: 1.
pub async fn load_media_after(
    db: &impl ConnectionTrait,
    after_id: i64,
    created_before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<media::Model>> {
    let query = media::Entity::find()
        .filter(media::Column::Id.gt(after_id))
        .filter(media::Column::CreatedAt.lt(created_before))
        .filter(media::Column::Status.ne(MediaStatus::Pending))
        .order_by_asc(media::Column::Id)
        .limit(limit);
    Ok(query.all(db).await?)
}

/// Locks pictures for their deletion. Those that another transaction has locked, because it uses them, are left out.
/// Statements: 1.
pub async fn lock_unlocked(tx: &Tx, ids: &[i64]) -> Result<Vec<media::Model>> {
    let query = media::Entity::find()
        .filter(eq_any(tx, media::Column::Id, ids.iter().copied()))
        .order_by_asc(media::Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(query.all(tx).await?)
}

/// Returns which of these originals belong to a picture. Statements: 1.
pub async fn find_known_originals(db: &impl ConnectionTrait, keys: &[String]) -> Result<Vec<String>> {
    let query = media::Entity::find().select_only().column(media::Column::Original).filter(eq_any(
        db,
        media::Column::Original,
        keys.iter().cloned(),
    ));
    let rows: Vec<Option<String>> = query.into_tuple().all(db).await?;
    Ok(rows.into_iter().flatten().collect())
}
