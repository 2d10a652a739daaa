//! Inventory: stock levels of variants per location, reservations and stock movements.

pub mod entity;
pub mod events;
pub mod location;
pub mod queries;
pub mod in_stock;
pub mod stock_level;
pub mod on_hand;
pub mod availability;
pub mod variant_choice;
pub mod reservation;
pub mod adjustments;
pub mod product_write;

pub use availability::{StockAvailability, load_product_availability, load_variant_availability};
pub use events::{StockChanged, StockLow};
pub use in_stock::refresh_in_stock;
pub use location::DEFAULT_LOCATION_ID;
pub use product_write::{InvalidProductPolicy, import_products, write_product, write_products};
pub use variant_choice::{ProductChoices, VariantChoice, load_product_choices, select_variant};
