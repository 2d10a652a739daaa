//! Inventory: stock levels of variants per location, reservations and stock movements.

pub mod events;
pub mod stock_level;
pub mod on_hand;
pub mod availability;
pub mod reservation;
pub mod adjustments;
pub mod movements;
pub mod product_write;

pub use availability::{StockAvailability, load_product_availability, load_variant_availability};
pub use events::StockLow;
pub use on_hand::refresh_in_stock;
pub use product_write::{InvalidProductPolicy, import_products, write_product, write_products};

/// Id of the default location, which every database has.
pub const DEFAULT_LOCATION_ID: i64 = 1;
