//! The outbox relay: creates one delivery of each event per subscribed consumer.

use sea_orm::{EntityTrait, Set, sea_query::OnConflict};

use super::{
    queries,
    registry::{JobRegistry, Subscription},
};
use crate::{
    base::Result,
    infra::{
        Db, Tx,
        entity::event_subscription::{self, Column},
    },
};

/// Registers the subscriptions, so that workers of another version, which do not know these consumers, still create
/// deliveries for them.
pub(super) async fn register_subscriptions(tx: &Tx, registry: &JobRegistry) -> Result<()> {
    if registry.subscriptions.is_empty() {
        return Ok(());
    }
    let mut subscriptions = registry.subscriptions.clone();
    subscriptions.sort_unstable();
    subscriptions.dedup();
    let rows = subscriptions.into_iter().map(|Subscription { consumer, event_type }| event_subscription::ActiveModel {
        consumer: Set(consumer.to_owned()),
        event_type: Set(event_type.to_owned()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    });
    let renewal =
        OnConflict::columns([Column::Consumer, Column::EventType]).update_column(Column::UpdatedAt).to_owned();
    event_subscription::Entity::insert_many(rows).on_conflict(renewal).exec_without_returning(tx).await?;
    Ok(())
}

/// Relays all pending events; returns how many. Statements: 1 if none is pending.
///
/// Only one instance relays at a time: the work is a copy of ids inside the database, and one relay keeps the events of
/// an aggregate in order, because their ids follow their sequence numbers, and assigns positions in the order in which
/// events become visible. After the commit it wakes the workers, for the deliveries, and the event feeds.
///
/// The commit waits for the disk: a position that a client has seen must not be assigned again after a crash.
pub(in crate::infra) async fn relay_events(db: &Db) -> Result<u64> {
    let mut relayed_count = 0;
    loop {
        if !queries::has_pending_events(db).await? {
            return Ok(relayed_count);
        }
        let batch_count = db
            .write(async |tx| {
                let relayed_count = queries::relay_batch(tx).await?;
                if relayed_count > 0 {
                    tx.notify_workers_on_commit();
                }
                Ok(relayed_count)
            })
            .await?;
        if batch_count == 0 {
            return Ok(relayed_count);
        }
        relayed_count += batch_count;
    }
}
