//! What shoppers have chosen so far. A guest's cart opens to its word, a customer's to the customer on every device.

pub mod entity;
pub mod hold;
pub mod lines;
pub mod begin;
pub mod said;
pub mod merge;
pub mod problem;
pub mod checkout;
pub mod keep;

pub use begin::begin;
pub use checkout::{Taken, close, reopen, take};
pub use entity::{
    Line,
    cart::{self as cart_row, State},
};
pub use hold::{Contents, Held, Target};
pub use keep::{forget, sweep, told};
pub use merge::merge;
pub use problem::Problem;
