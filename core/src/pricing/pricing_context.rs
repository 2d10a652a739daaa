//! The tax rates and shipping methods of a country, and the pricing of an order with them.

use sea_orm::ConnectionTrait;

use super::{
    entity::{shipping_method, tax_rate},
    quote::{self, EffectiveTaxRate, QuoteItem, QuoteLine, Totals},
    sellable_variant::SellableVariant,
    shipping,
    tax::CountryTaxRates,
};
use crate::{
    base::{Country, Result},
    catalog::CategoryTree,
};

/// What prices depend on besides the rates of a country.
#[derive(Debug, Clone, Copy)]
pub struct ShopContext<'a> {
    /// The category tree, for tax rates.
    pub category_tree: &'a CategoryTree,
    /// The country of the shop, where orders without an address go.
    pub country: Country,
}

/// The tax rates of a country and the active shipping methods.
#[derive(Debug, Clone)]
pub struct PricingContext {
    /// The shipping country.
    pub country: Country,
    /// The tax rates of the country.
    pub rates: CountryTaxRates,
    /// All active shipping methods, for any country, in order.
    pub methods: Vec<shipping_method::Model>,
}

impl PricingContext {
    /// Loads the tax rates and shipping methods. Statements: 2.
    pub async fn load(db: &impl ConnectionTrait, country: Country) -> Result<Self> {
        let (rates, methods) =
            (CountryTaxRates::load(db, country).await?, shipping::list_shipping_methods(db, true).await?);
        Ok(Self { country, rates, methods })
    }

    /// Returns an active shipping method.
    #[must_use]
    pub fn find_method(&self, method_id: i64) -> Option<&shipping_method::Model> {
        self.methods.iter().find(|method| method.id == method_id)
    }

    /// Returns the shipping methods that support the country and the weight, each with its price. Free shipping depends
    /// on `goods_total`, in minor units.
    pub fn available_methods(
        &self,
        grams: i64,
        goods_total: i64,
    ) -> impl Iterator<Item = (&shipping_method::Model, i64)> {
        let tax = self.rates.country_rate().map(tax_rate::Model::effective_rate);
        let deliverable = self.methods.iter().filter(move |method| method.supports_shipment(self.country, grams));
        deliverable.filter_map(move |method| {
            Some((method, method.shipping_charge(tax).calculate_amount(grams, goods_total).ok()?))
        })
    }
}

/// A priced order line. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// The variant.
    pub variant: SellableVariant,
    /// The quantity.
    pub quantity: i64,
    /// The name of the tax and its rate; `None` if untaxed.
    pub tax_rate: Option<(String, EffectiveTaxRate)>,
    /// The total at regular prices.
    pub list_total: i64,
    /// The discount from sales.
    pub discount: i64,
    /// The tax, included in the price or added to it.
    pub tax: i64,
    /// The amount to pay, including tax.
    pub total: i64,
}

/// The selected shipping method with its price. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedShipping {
    /// The shipping method.
    pub method: shipping_method::Model,
    /// The shipping price; part of the totals' `shipping`.
    pub amount: i64,
    /// The tax on shipping; part of the totals' `tax`.
    pub tax: i64,
    /// The name of the tax and its rate; `None` if untaxed.
    pub tax_rate: Option<(String, EffectiveTaxRate)>,
    /// Whether the method supports the weight and the country.
    pub is_deliverable: bool,
}

/// A priced order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedOrder {
    /// The lines, in the requested order.
    pub lines: Vec<PricedLine>,
    /// The shipping; `None` if no method is selected or it is no longer available.
    pub shipping: Option<PricedShipping>,
    /// The total weight. Grams.
    pub weight_grams: i64,
    /// The totals.
    pub totals: Totals,
}

/// Prices loaded variants. Pure.
///
/// # Errors
/// Returns `BadUserInput` if a quantity is out of range or the total exceeds [`crate::base::money::MAX_MINOR_UNITS`].
pub fn price_order(
    pricing: &PricingContext,
    tree: &CategoryTree,
    lines: Vec<(SellableVariant, i64)>,
    shipping_method: Option<i64>,
) -> Result<PricedOrder> {
    let rates: Vec<_> =
        lines.iter().map(|(variant, _)| pricing.rates.find_for_category(tree, variant.category_id)).collect();
    let items = lines.iter().zip(&rates).map(|((variant, quantity), rate)| QuoteItem {
        quantity: *quantity,
        list_price: variant.list_price,
        unit_price: variant.unit_price,
        weight_grams: variant.weight_grams,
        tax_rate: rate.map(tax_rate::Model::effective_rate),
    });
    let items: Vec<QuoteItem> = items.collect();
    let country_rate = pricing.rates.country_rate();
    let method = shipping_method.and_then(|method_id| pricing.find_method(method_id));
    let shipping_charge =
        method.map(|method| method.shipping_charge(country_rate.map(tax_rate::Model::effective_rate)));
    let quote = quote::calculate_quote(&items, shipping_charge.as_ref())?;
    let to_named_rate = |row: &tax_rate::Model| (row.name.clone(), row.effective_rate());
    let to_priced_line = |(((variant, quantity), rate), line): (((SellableVariant, i64), Option<_>), QuoteLine)| {
        let QuoteLine { list_total, discount, tax, total } = line;
        PricedLine { variant, quantity, tax_rate: rate.map(to_named_rate), list_total, discount, tax, total }
    };
    let shipping = method.map(|method| PricedShipping {
        method: method.clone(),
        amount: quote.totals.shipping,
        tax: quote.shipping_tax,
        tax_rate: country_rate.filter(|_| method.taxable).map(to_named_rate),
        is_deliverable: method.supports_shipment(pricing.country, quote.weight_grams),
    });
    let (grams, totals) = (quote.weight_grams, quote.totals);
    Ok(PricedOrder {
        lines: lines.into_iter().zip(rates).zip(quote.lines).map(to_priced_line).collect(),
        shipping,
        weight_grams: grams,
        totals,
    })
}
