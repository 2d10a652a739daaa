//! The till: from a cart, or a list of variants, to an order that is promised, paid for and placed.

pub mod purchase;
pub mod read;
pub mod buy;

pub use buy::{Bought, buy};
pub use purchase::{Basket, Purchase, Till};
