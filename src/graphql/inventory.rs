//! Stock levels, movements and their changes.

pub mod stock;
pub mod mutations;
