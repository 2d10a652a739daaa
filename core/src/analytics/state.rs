//! The state that all figures share: their time zone, and the lock under which they change.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};

use super::figure_entity::analytics_state::{ActiveModel, Column, Entity, Model};
use crate::{
    base::{Error, Result},
    infra::{Db, Tx},
};

/// The state of analytics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalyticsState {
    /// The time zone of the days.
    pub time_zone: Tz,
    /// The position up to which events of carts are counted.
    pub cart_position: i64,
    /// When the rebuild began that has not finished; `None` if the figures are complete.
    pub rebuild_started_at: Option<DateTime<Utc>>,
}

impl AnalyticsState {
    fn from_row(row: Option<Model>) -> Result<Self> {
        let row = row.ok_or_else(|| Error::internal("reading the state of analytics", "its row is missing"))?;
        let time_zone = row.time_zone.as_deref().map_or(Ok(Tz::UTC), str::parse);
        let time_zone =
            time_zone.map_err(|error: chrono_tz::ParseError| Error::internal("reading a time zone", error))?;
        Ok(Self { time_zone, cart_position: row.cart_position, rebuild_started_at: row.rebuild_started_at })
    }

    /// Loads the state. Statements: 1.
    pub async fn load(db: &impl ConnectionTrait) -> Result<Self> {
        Self::from_row(Entity::find().one(db).await?)
    }

    /// Locks the state until the end of the transaction: figures change one transaction at a time, so that each sees what
    /// the ones before it have stored, and none waits for two rows of sums in turn. Statements: 1.
    pub async fn lock(tx: &Tx) -> Result<Self> {
        Self::from_row(Entity::find().lock_exclusive().one(tx).await?)
    }

    /// Stores the position up to which events of carts are counted. Statements: 1.
    pub(super) async fn set_cart_position(tx: &Tx, position: i64) -> Result<()> {
        let changes = ActiveModel { cart_position: Set(position), ..Default::default() };
        Entity::update_many().set(changes).exec(tx).await?;
        Ok(())
    }

    /// Stores the time zone and that a rebuild began. Statements: 1.
    pub(super) async fn begin_rebuild(tx: &Tx, time_zone: Tz) -> Result<()> {
        let changes = ActiveModel {
            time_zone: Set(Some(time_zone.name().to_owned())),
            rebuild_started_at: Set(Some(tx.now())),
            ..Default::default()
        };
        Entity::update_many().set(changes).exec(tx).await?;
        Ok(())
    }

    /// Stores that the rebuild has finished. Statements: 1.
    pub(super) async fn finish_rebuild(tx: &Tx) -> Result<()> {
        let changes = ActiveModel { rebuild_started_at: Set(None), ..Default::default() };
        Entity::update_many().set(changes).exec(tx).await?;
        Ok(())
    }
}

/// Stores the configured time zone, if there is none yet, and returns the one of the figures. Statements: 1, 2 at the
/// first start.
pub async fn ensure_time_zone(db: &Db, configured: Tz) -> Result<Tz> {
    let row = Entity::find().one(db).await?;
    if row.as_ref().is_some_and(|row| row.time_zone.is_none()) {
        db.write(async |tx| {
            let changes = ActiveModel { time_zone: Set(Some(configured.name().to_owned())), ..Default::default() };
            Entity::update_many().set(changes).filter(Column::TimeZone.is_null()).exec(tx).await?;
            Ok(())
        })
        .await?;
        return Ok(AnalyticsState::load(db).await?.time_zone);
    }
    Ok(AnalyticsState::from_row(row)?.time_zone)
}
