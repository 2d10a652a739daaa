//! Shop information.

use async_graphql::{Context, Object, SimpleObject};

use super::{context::request_context, scalars::CurrencyCode};

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
