//! Warnings of cart mutations: requested lines that were adjusted to the stock.

use async_graphql::{Enum, ID, SimpleObject};

use crate::{
    base::{GlobalId, global_id::NodeType},
    cart::LineAdjustment,
    graphql::scalars::clamp_to_i32,
};

/// Code of a cart warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum CartWarningCode {
    /// Fewer units than requested were added, because the stock is too low.
    QuantityAdjusted,
    /// No unit was added: the variant is out of stock, or the cart has all that is left.
    SoldOut,
}

/// Adjustment of a requested line to the stock.
#[derive(Debug, Clone, SimpleObject)]
pub struct CartWarning {
    /// Type of the warning.
    code: CartWarningCode,
    /// Human-readable message.
    message: String,
    /// Path of the line in the input.
    field: Vec<String>,
    /// ID of the variant.
    variant_id: ID,
    /// Requested quantity.
    requested: i32,
    /// Added quantity.
    added: i32,
    /// Available quantity of the variant, including the units in the cart.
    available: i32,
}

impl CartWarning {
    /// Creates the warning of an adjustment.
    #[must_use]
    pub fn from_adjustment(adjustment: LineAdjustment) -> Self {
        let LineAdjustment { path, variant_id, requested, added, available } = adjustment;
        let (code, message) = match added {
            0 => (CartWarningCode::SoldOut, format!("none of {requested} were added: {available} are left in all")),
            _ => (CartWarningCode::QuantityAdjusted, format!("{added} of {requested} were added: no more are left")),
        };
        Self {
            code,
            message,
            field: path.split('.').map(str::to_owned).collect(),
            variant_id: GlobalId::new(NodeType::Variant, variant_id).encode().into(),
            requested: clamp_to_i32(requested),
            added: clamp_to_i32(added),
            available: clamp_to_i32(available),
        }
    }
}
