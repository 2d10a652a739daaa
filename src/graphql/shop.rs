//! The shop itself.

use async_graphql::{Context, InputValueError, InputValueResult, Object, Scalar, ScalarType, SimpleObject, Value};
use iso_currency::Currency;

use super::context::scope;

/// The code of a currency by ISO 4217, such as `KES` or `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

/// The code of a currency by ISO 4217, such as `KES` or `EUR`.
#[Scalar(specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html")]
impl ScalarType for CurrencyCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(code) = &value else { return Err(InputValueError::expected_type(value)) };
        let currency = Currency::from_code(code);
        currency.map(Self).ok_or_else(|| InputValueError::custom(format!("`{code}` is no currency of ISO 4217")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// The shop that answers.
#[derive(Debug, SimpleObject)]
pub struct Shop {
    /// What the shop is called.
    name: String,
    /// The currency of every price in the shop.
    currency: CurrencyCode,
    /// The version of Savannah that runs the shop.
    version: &'static str,
}

/// The shop's part of the query root.
#[derive(Debug, Default)]
pub struct ShopQuery;

#[Object]
impl ShopQuery {
    /// The shop that answers: its name and the currency of its prices.
    async fn shop(&self, ctx: &Context<'_>) -> Shop {
        let shop = &scope(ctx).shared.config.shop;
        let version = env!("CARGO_PKG_VERSION");
        Shop { name: shop.name.clone(), currency: CurrencyCode(shop.currency), version }
    }
}
