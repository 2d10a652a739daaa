//! How many of each variant there are, where they lie, and whom they are promised to.

pub mod event;
pub mod row;
pub mod count;
pub mod stock;
pub mod hold;
pub mod staff;
pub mod ledger;

pub use count::{check_on_hand, mark, recount, set_on_hand};
pub use event::StockLow;
pub use stock::{Stock, of_products, of_variants};

/// The location every shop begins with.
pub const DEFAULT_LOCATION: i64 = 1;
