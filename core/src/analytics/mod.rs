//! Analytics: figures that are kept from events.

pub mod entity;
pub mod figure_entity;
pub mod figures;
pub mod period;
mod queries;
pub mod product_sales;
pub mod state;
pub mod order_source;
pub mod order_figures;
pub mod cart_figures;
pub mod rebuild;
pub mod report;
pub mod csv_report;

pub use product_sales::delete_expired_sales;
