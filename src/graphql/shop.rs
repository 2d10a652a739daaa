//! Shop information.

use async_graphql::{Context, InputValueError, InputValueResult, Object, Scalar, ScalarType, SimpleObject, Value};
use iso_currency::Currency;

use super::context::request_context;

/// Currency code (ISO 4217), such as `KES` or `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

/// Currency code (ISO 4217), such as `KES` or `EUR`.
#[Scalar(specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html")]
impl ScalarType for CurrencyCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(code) = &value else { return Err(InputValueError::expected_type(value)) };
        let currency = Currency::from_code(code);
        currency.map(Self).ok_or_else(|| InputValueError::custom(format!("`{code}` is not a currency of ISO 4217")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// Shop information.
#[derive(Debug, SimpleObject)]
pub struct Shop {
    /// Name of the shop.
    name: String,
    /// Currency of all prices.
    currency: CurrencyCode,
    /// Savannah version of the server.
    version: &'static str,
}

/// Shop queries.
#[derive(Debug, Default)]
pub struct ShopQuery;

#[Object]
impl ShopQuery {
    /// Shop information: name, currency and server version.
    async fn shop(&self, ctx: &Context<'_>) -> Shop {
        let shop = &request_context(ctx).app_state.config.shop;
        let version = env!("CARGO_PKG_VERSION");
        Shop { name: shop.name.clone(), currency: CurrencyCode(shop.currency), version }
    }
}
