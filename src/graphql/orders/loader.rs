//! Data loaders of orders.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_graphql::dataloader::Loader;

use super::super::loader::{Loaders, list_loader, owner_scoped_loader};
use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    order::{
        OrderLineRow, OrderRow,
        entity::{FulfillmentRow, LineQuantityRow, OrderHistoryRow},
        queries,
    },
    payment::{Payment, RefundRow, entity, refunds},
};

owner_scoped_loader!(
    /// Loads orders visible to the caller.
    OrderKey, OrderRow, queries::find_orders_by_ids
);
list_loader!(
    /// Loads the lines of orders.
    LinesOf, OrderLineRow, |loads, keys| queries::lines(&loads.db, keys)
);
list_loader!(
    /// Loads the history of orders.
    HistoryOf, OrderHistoryRow, |loads, keys| queries::history(&loads.db, keys)
);
list_loader!(
    /// Loads the fulfillments of orders.
    FulfilmentsOf, FulfillmentRow, |loads, keys| queries::fulfillments(&loads.db, keys)
);
list_loader!(
    /// Loads the lines of fulfillments.
    ParcelOf, LineQuantityRow, |loads, keys| queries::parcels(&loads.db, keys)
);
list_loader!(
    /// Loads the refunds of orders.
    RefundsOf, RefundRow, |loads, keys| refunds::list_refunds_by_order(&loads.db, keys)
);
list_loader!(
    /// Loads the lines of refunds.
    RefundedOf, LineQuantityRow, |loads, keys| refunds::list_refund_lines(&loads.db, keys)
);
list_loader!(
    /// Loads the payments of orders.
    PaymentsOf, Payment, |loads, keys| entity::list_payments_by_order(&loads.db, keys)
);
