//! Data of a cart, loaded when a field needs it.

use tokio::sync::OnceCell;

use crate::{
    base::Result,
    cart::{self, CartContents, cart_row, details},
    graphql::context::RequestContext,
    pricing::{PricedOrder, PricingContext, price_order},
};

/// Row of a cart with its lazily loaded contents and pricing.
#[derive(Debug)]
pub struct CartData {
    /// Cart row.
    pub(super) row: cart_row::Model,
    /// Lines and variants; loaded when a field needs them, unless already available.
    contents: OnceCell<CartContents>,
    /// Totals; calculated when a field needs them.
    pricing: OnceCell<(PricingContext, PricedOrder)>,
}

impl CartData {
    pub(super) fn new(row: cart_row::Model, contents: Option<CartContents>) -> Self {
        Self { row, contents: OnceCell::new_with(contents), pricing: OnceCell::new() }
    }

    pub(super) async fn load_contents(&self, context: &RequestContext) -> Result<&CartContents> {
        self.contents
            .get_or_try_init(|| cart::queries::load_cart_contents(&context.db, self.row.id, &[], context.db.now()))
            .await
    }

    pub(super) async fn load_pricing(&self, context: &RequestContext) -> Result<&(PricingContext, PricedOrder)> {
        let calculate_totals = || async {
            let contents = self.load_contents(context).await?;
            let country = details::shipping_country(&self.row, context.app_state.config.shop.country);
            let pricing_context = PricingContext::load(&context.db, country).await?;
            let totals = price_order(
                &pricing_context,
                &context.category_tree(),
                contents.sellable_lines(),
                self.row.shipping_method_id,
            )?;
            Ok((pricing_context, totals))
        };
        self.pricing.get_or_try_init(calculate_totals).await
    }
}
