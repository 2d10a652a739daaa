//! What hangs on many orders at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_graphql::dataloader::Loader;

use super::super::loader::{Loads, list, reached};
use crate::{
    base::{Error, Result},
    customer::Reach,
    order::{
        Line, Order,
        entity::{Entry, Fulfilment, Part, Refund},
        find,
    },
    payment::{Payment, entity},
};

reached!(
    /// An order that may be seen.
    OrderKey, Order, find::by_key
);
list!(
    /// The lines of an order.
    LinesOf, Line, |loads, keys| find::lines(&loads.db, keys)
);
list!(
    /// The history of an order.
    HistoryOf, Entry, |loads, keys| find::history(&loads.db, keys)
);
list!(
    /// The parcels of an order.
    FulfilmentsOf, Fulfilment, |loads, keys| find::fulfilments(&loads.db, keys)
);
list!(
    /// What is in a parcel.
    ParcelOf, Part, |loads, keys| find::parcels(&loads.db, keys)
);
list!(
    /// What of an order has gone back.
    RefundsOf, Refund, |loads, keys| find::refunds(&loads.db, keys)
);
list!(
    /// What a refund is for.
    RefundedOf, Part, |loads, keys| find::refunded(&loads.db, keys)
);
list!(
    /// The payments of an order.
    PaymentsOf, Payment, |loads, keys| entity::of_orders(&loads.db, keys)
);
