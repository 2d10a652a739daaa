//! What things cost: the offer of a variant, taxes, ways of shipping, and what a purchase comes to.

pub mod entity;
pub mod offer;
pub mod quote;
pub mod tax;
pub mod shipping;
pub mod terms;
pub mod change;
pub mod outfit;

pub use entity::{
    shipping_method::{self, ShippingKind},
    tax_rate,
};
pub use offer::{Obstacle, Offer, offers};
pub use outfit::fit_out;
pub use quote::{Rate, Totals};
pub use terms::{Priced, PricedLine, PricedShipping, Terms, reckon};
