//! What somebody wants to buy, and where that is done.

use iso_currency::Currency;

use crate::{
    base::{Country, Language},
    cart::said::Place,
    catalog::Tree,
    identity::Caller,
    infra::{Db, Once, config::CheckoutConfig},
    payment::Providers,
};

/// Where things are bought, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Till<'a> {
    /// The database.
    pub db: &'a Db,
    /// Who moves the money.
    pub providers: &'a Providers,
    /// The category tree, by which taxes are found.
    pub tree: &'a Tree,
    /// Who buys.
    pub caller: Caller,
    /// What the shop counts in.
    pub currency: Currency,
    /// Where the shop stands.
    pub country: Country,
    /// What the shop speaks to people whose language it does not know.
    pub language: Language,
    /// The settings of checkouts.
    pub config: &'a CheckoutConfig,
}

/// What is bought.
#[derive(Debug, Clone)]
pub enum Basket {
    /// What is in a cart, by its word.
    Cart(String),
    /// These variants, and how many of each.
    Items(Vec<(i64, i64)>),
}

/// What somebody wants to buy, and all they say about it.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The request, which may come again.
    pub once: Once,
    /// What is bought.
    pub basket: Basket,
    /// What the buyer believes it costs.
    pub expected: Option<i64>,
    /// Where mail goes.
    pub email: Option<String>,
    /// Where short messages go.
    pub phone: Option<String>,
    /// Where the goods go.
    pub shipping: Option<Place>,
    /// Where the bill goes.
    pub billing: Option<Place>,
    /// How the goods go there.
    pub method: Option<i64>,
    /// What to know.
    pub note: Option<String>,
    /// In which language the buyer is written to.
    pub language: Option<Language>,
    /// By whose hands it is paid.
    pub provider: String,
}
