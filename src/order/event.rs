//! What orders tell the world. Keys only: whoever hears of it reads it as it is then.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::infra::outbox::Event;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// The order.
            pub order: i64,
            $($(#[$field_doc])* pub $field: $ty),*
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
    /// Somebody has ordered.
    OrderPlaced {}
);
event!(
    /// An order has come further, or to its end.
    OrderStatusChanged {
        /// Where it stood.
        from: Status,
        /// Where it stands.
        to: Status,
    }
);
event!(
    /// A parcel has gone off.
    OrderShipped {
        /// The parcel.
        fulfilment: i64,
    }
);
event!(
    /// Money has gone back.
    OrderRefunded {
        /// How much, and what for.
        refund: i64,
    }
);
