//! Carts. A guest cart is accessed by its secret token, a customer's cart by the customer on every device.

pub mod entity;
pub mod events;
pub mod access;
pub mod queries;
pub mod attributes;
pub mod lines;
mod line_editor;
pub mod create;
pub mod details;
pub mod merge;
pub mod validation;
pub mod conversion;
pub mod limits;
pub mod retention;
pub mod privacy;

pub use access::{CartContents, CartTarget, LockedCart, find_cart_by_token, find_open_cart};
pub use attributes::{Attribute, LineAttributes, attributes_from_json};
pub use conversion::{
    CartDetails, CheckedOutCart, FormerCart, close_reopened_cart, lock_cart_for_checkout, lock_former_cart, reopen_cart,
};
pub use create::{NewCart, create_cart};
pub use details::NewCartDetails;
pub use entity::{
    CartLineRow,
    cart::{self as cart_row, CartStatus},
};
pub use events::CartChanged;
pub use limits::limit_cart_changes;
pub use lines::{AddMode, LineAdjustment, LineRequest, LineUpdate};
pub use merge::{merge_guest_cart, merge_guest_cart_at_login};
pub use queries::close_cart;
pub use retention::delete_expired_carts;
pub use validation::{CartIssue, CartIssueKind};
