//! Analytics: figures that are kept from events.

pub mod entity;
pub mod product_sales;
mod queries;

pub use product_sales::delete_expired_sales;
