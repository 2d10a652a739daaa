//! What is needed to price a purchase for a country, and the purchase priced.

use sea_orm::ConnectionTrait;

use super::{
    entity::{shipping_method, tax_rate},
    offer::Offer,
    quote::{self, Item, Line, Rate, Totals},
    shipping,
    tax::Rates,
};
use crate::{
    base::{Country, Result},
    catalog::Tree,
};

/// How a country is served: its taxes, and the ways of shipping that shoppers may choose.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which country.
    pub country: Country,
    /// Its rates of tax.
    pub rates: Rates,
    /// Every way of shipping that shoppers may choose, to whichever country, in order.
    pub methods: Vec<shipping_method::Model>,
}

impl Terms {
    /// Reads them. Two small statements.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn load(db: &impl ConnectionTrait, country: Country) -> Result<Self> {
        let (rates, methods) = (Rates::load(db, country).await?, shipping::all(db, true).await?);
        Ok(Self { country, rates, methods })
    }

    /// A way of shipping that shoppers may choose.
    #[must_use]
    pub fn method(&self, key: i64) -> Option<&shipping_method::Model> {
        self.methods.iter().find(|one| one.id == key)
    }

    /// Those that carry so many grams there, each with what it costs to send goods of some worth.
    pub fn available(&self, grams: i64, goods: i64) -> impl Iterator<Item = (&shipping_method::Model, i64)> {
        let tax = self.rates.own().map(tax_rate::Model::rate);
        let fitting = self.methods.iter().filter(move |one| one.fits(self.country, grams));
        fitting.filter_map(move |one| Some((one, one.way(tax).amount(grams, goods).ok()?)))
    }
}

/// A line with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// What is bought.
    pub offer: Offer,
    /// How many.
    pub quantity: i64,
    /// What the tax is called, and its rate; `None` where there is none.
    pub tax_rate: Option<(String, Rate)>,
    /// At regular prices.
    pub list_total: i64,
    /// What sales take off that.
    pub discount: i64,
    /// The tax, in the price or on top of it.
    pub tax: i64,
    /// What is paid for it, with its tax.
    pub total: i64,
}

/// A way of shipping that was chosen, with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedShipping {
    /// Which.
    pub method: shipping_method::Model,
    /// What it costs; as much of the totals' shipping.
    pub amount: i64,
    /// The tax on it, which is among the totals' tax.
    pub tax: i64,
    /// What that tax is called, and its rate; `None` where there is none.
    pub tax_rate: Option<(String, Rate)>,
    /// Whether it carries this weight to this country.
    pub fits: bool,
}

/// A purchase with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// Each line, in the order asked for.
    pub lines: Vec<PricedLine>,
    /// How it is sent; `None` when nothing was chosen, or it can be chosen no more.
    pub shipping: Option<PricedShipping>,
    /// What all weighs together.
    pub grams: i64,
    /// What all comes to.
    pub totals: Totals,
}

/// Prices offers that are at hand. Pure.
///
/// # Errors
/// When a quantity cannot be, or the whole comes to more than the shop counts to.
pub fn reckon(terms: &Terms, tree: &Tree, lines: Vec<(Offer, i64)>, shipping_method: Option<i64>) -> Result<Priced> {
    let rates: Vec<_> = lines.iter().map(|(offer, _)| terms.rates.nearest(tree, offer.category)).collect();
    let items = lines.iter().zip(&rates).map(|((offer, quantity), rate)| Item {
        quantity: *quantity,
        list: offer.list,
        unit: offer.unit,
        grams: offer.grams,
        tax: rate.map(tax_rate::Model::rate),
    });
    let items: Vec<Item> = items.collect();
    let own = terms.rates.own();
    let method = shipping_method.and_then(|key| terms.method(key));
    let way = method.map(|method| method.way(own.map(tax_rate::Model::rate)));
    let quote = quote::quote(&items, way.as_ref())?;
    let named = |row: &tax_rate::Model| (row.name.clone(), row.rate());
    let priced = |(((offer, quantity), rate), line): (((Offer, i64), Option<_>), Line)| {
        let Line { list_total, discount, tax, total } = line;
        PricedLine { offer, quantity, tax_rate: rate.map(named), list_total, discount, tax, total }
    };
    let shipping = method.map(|method| PricedShipping {
        method: method.clone(),
        amount: quote.totals.shipping,
        tax: quote.shipping_tax,
        tax_rate: own.filter(|_| method.taxable).map(named),
        fits: method.fits(terms.country, quote.grams),
    });
    let (grams, totals) = (quote.grams, quote.totals);
    Ok(Priced { lines: lines.into_iter().zip(rates).zip(quote.lines).map(priced).collect(), shipping, grams, totals })
}
