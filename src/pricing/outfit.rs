//! What a development shop is fitted out with, so that a purchase can be tried at once.

use iso_currency::Currency;
use rust_decimal::Decimal;
use sea_orm::{EntityTrait, PaginatorTrait};

use super::{
    change::{self, MethodChange, RateChange},
    entity::{shipping_method, tax_rate},
};
use crate::{
    base::{Patch, Result},
    infra::Tx,
};

/// Two ways of shipping where there is none, and Kenya's value added tax where there is no tax; says whether anything
/// was missing.
///
/// # Errors
/// When the database refuses.
pub async fn fit_out(tx: &Tx, currency: Currency) -> Result<bool> {
    let ways = shipping_method::Entity::find().count(tx).await?;
    let rates = tax_rate::Entity::find().count(tx).await?;
    if ways == 0 {
        let standard = MethodChange {
            name: Patch::Set("Standard".into()),
            description: Patch::Set("Two to four working days.".into()),
            price: Some(Decimal::from(350)),
            free_from: Patch::Set(Decimal::from(10_000)),
            ..MethodChange::default()
        };
        let by_weight = MethodChange {
            name: Patch::Set("Courier".into()),
            description: Patch::Set("The next working day, by weight.".into()),
            price: Some(Decimal::from(300)),
            price_per_kg: Patch::Set(Decimal::from(100)),
            max_grams: Patch::Set(30_000),
            position: Some(1),
            ..MethodChange::default()
        };
        change::create_method(tx, currency, standard).await?;
        change::create_method(tx, currency, by_weight).await?;
    }
    if rates == 0 {
        let vat = RateChange { name: Patch::Set("VAT".into()), percent: Some(Decimal::from(16)), included: Some(true) };
        change::create_rate(tx, "KE", None, vat).await?;
    }
    Ok(ways == 0 || rates == 0)
}
