//! Data loaders of orders.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_graphql::dataloader::Loader;

use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    graphql::loader::{Loaders, batch_loader, owner_scoped_loader},
    order::{
        OrderLineRow, OrderRow,
        entity::{FulfillmentRow, LineQuantityRow, OrderHistoryRow},
        queries,
    },
    payment::{self, Payment, RefundRow},
};

owner_scoped_loader!(
    /// Loads orders visible to the caller.
    OrderKey, OrderRow, queries::find_orders_by_ids
);
batch_loader!(
    /// Loads the lines of orders.
    LinesOf, Arc<[OrderLineRow]>, |loaders, keys| queries::lines(&loaders.db, keys)
);
batch_loader!(
    /// Loads the history of orders.
    HistoryOf, Arc<[OrderHistoryRow]>, |loaders, keys| queries::history(&loaders.db, keys)
);
batch_loader!(
    /// Loads the fulfillments of orders.
    FulfillmentsOf, Arc<[FulfillmentRow]>, |loaders, keys| queries::fulfillments(&loaders.db, keys)
);
batch_loader!(
    /// Loads the lines of fulfillments.
    ParcelOf, Arc<[LineQuantityRow]>, |loaders, keys| queries::parcels(&loaders.db, keys)
);
batch_loader!(
    /// Loads the refunds of orders.
    RefundsOf, Arc<[RefundRow]>, |loaders, keys| payment::queries::list_refunds_by_order(&loaders.db, keys)
);
batch_loader!(
    /// Loads the lines of refunds.
    RefundedOf, Arc<[LineQuantityRow]>, |loaders, keys| payment::queries::list_refund_lines(&loaders.db, keys)
);
batch_loader!(
    /// Loads the payments of orders.
    PaymentsOf, Arc<[Payment]>, |loaders, keys| payment::queries::list_payments_by_order(&loaders.db, keys)
);

/// Key of an order by number, within the access scope of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderNumberKey {
    /// Order number.
    pub number: Arc<str>,
    /// Access scope of the caller.
    pub owner_scope: OwnerScope,
}

impl Loader<OrderNumberKey> for Loaders {
    type Value = OrderRow;
    type Error = Error;

    async fn load(&self, keys: &[OrderNumberKey]) -> Result<HashMap<OrderNumberKey, OrderRow>> {
        let rows = queries::find_orders_by_numbers(&self.db, keys.iter().map(|key| &*key.number)).await?;
        let with_key = |key: &OrderNumberKey| {
            let row = rows.get(&*key.number)?;
            key.owner_scope.covers_owner(row.account_id).then(|| (key.clone(), row.clone()))
        };
        Ok(keys.iter().filter_map(with_key).collect())
    }
}
