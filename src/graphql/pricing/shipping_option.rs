//! Shipping methods that are available for goods and a destination, with their prices.

use async_graphql::{Context, ID, Object};

use super::tax::AppliedTax;
use crate::{
    base::{Country, Error, GlobalId, Result, global_id::NodeType},
    graphql::{
        batched::Batched,
        cart::mutations::{LineInput, parse_line_requests},
        context::request_context,
        scalars::{CountryCode, MoneyObject},
    },
    pricing::{PricedOrder, PricedShipping, PricingContext, shipping_method},
    sales,
};

/// Shipping method available for goods and a destination, with its price for them.
#[derive(Debug, Clone)]
pub struct ShippingOption {
    method: shipping_method::Model,
    price: i64,
    tax_rate: Option<AppliedTax>,
}

impl From<&PricedShipping> for ShippingOption {
    fn from(shipping: &PricedShipping) -> Self {
        let tax_rate = shipping.tax_rate.clone().map(Into::into);
        Self { method: shipping.method.clone(), price: shipping.amount, tax_rate }
    }
}

impl ShippingOption {
    /// Returns the options for priced goods, in the shop's order.
    #[must_use]
    pub fn list_available(pricing_context: &PricingContext, priced: &PricedOrder) -> Vec<Self> {
        let country_rate = pricing_context.rates.country_rate();
        let to_option = |(method, price): (&shipping_method::Model, i64)| Self {
            method: method.clone(),
            price,
            tax_rate: country_rate
                .filter(|_| method.taxable)
                .map(|rate| (rate.name.clone(), rate.effective_rate()).into()),
        };
        pricing_context.available_methods(priced.weight_grams, priced.totals.subtotal()).map(to_option).collect()
    }
}

/// Shipping method available for goods and a destination, with its price for them. It has no global ID, because its
/// price depends on them.
#[Object]
impl ShippingOption {
    /// ID of the shipping method, which selects it.
    async fn shipping_method_id(&self) -> ID {
        GlobalId::new(NodeType::ShippingMethod, self.method.id).encode().into()
    }

    /// Display name.
    async fn name(&self) -> &str {
        &self.method.name
    }

    /// Description; null if there is none.
    async fn description(&self) -> Option<&str> {
        self.method.description.as_deref()
    }

    /// Price for the goods and the destination.
    async fn price(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.price)
    }

    /// Tax rate of the shipping price; null if it is not taxed.
    async fn tax_rate(&self) -> Option<AppliedTax> {
        self.tax_rate.clone()
    }
}

/// Shipping option queries.
#[derive(Debug, Default)]
pub struct ShippingOptionQuery;

#[Object]
impl ShippingOptionQuery {
    /// Shipping options for goods that are not in a cart, such as those of a product page, in the shop's order.
    #[graphql(complexity = "SHIPPING_OPTIONS_COST + child_complexity")]
    async fn shipping_options(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Destination country; defaults to the shop's.")] country: Option<CountryCode>,
        #[graphql(desc = "Lines to ship, at most 200; without them the options are those of an empty cart.")]
        lines: Option<Vec<LineInput>>,
    ) -> Result<Vec<ShippingOption>> {
        let context = request_context(ctx);
        let country = match country {
            None => context.app_state.config.shop.country,
            Some(CountryCode(code)) => Country::from_code(&code)
                .ok_or_else(|| Error::bad_input("country", format!("`{code}` is not a country code of ISO 3166-1")))?,
        };
        let requests = parse_line_requests(lines.unwrap_or_default(), "lines")?;
        let (pricing_context, priced) = sales::price_lines(&context.sales(), requests, country).await?;
        let options = ShippingOption::list_available(&pricing_context, &priced);
        context.charge_list_values(ctx, options.len())?;
        Ok(options)
    }
}

/// Base complexity of the shipping options: three statements.
const SHIPPING_OPTIONS_COST: usize = 25;
