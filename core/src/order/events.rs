//! Domain events of orders. They contain ids only; handlers read the current rows.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::infra::outbox::Event;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_attribute:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Id of the order.
            pub order: i64,
            $($(#[$field_attribute])* pub $field: $ty),*
        }

        impl Event for $name {
            const KIND: &'static str = stringify!($name);

            fn aggregate(&self) -> String {
                format!("order:{}", self.order)
            }
        }
    };
}

event!(
    /// An order was placed.
    OrderPlaced {
        /// Id of the customer's account; `None` for a guest order.
        #[serde(default)]
        account: Option<i64>,
    }
);
event!(
    /// An order was changed: its status, payment, fulfillments or notes. Emitted once for each version after the first.
    OrderUpdated {
        /// Id of the customer's account; `None` for a guest order.
        account: Option<i64>,
    }
);
event!(
    /// The link to an order was requested, with its number and email address.
    OrderLinkRequested {}
);
event!(
    /// The status of an order changed.
    OrderStatusChanged {
        /// Previous status.
        from: Status,
        /// New status.
        to: Status,
    }
);
event!(
    /// A fulfillment was created.
    OrderShipped {
        /// Id of the fulfillment.
        fulfillment: i64,
    }
);
event!(
    /// A refund was completed.
    OrderRefunded {
        /// Id of the refund.
        refund: i64,
    }
);
