//! Default tax rates and shipping methods for development, so that a checkout works immediately.

use iso_currency::Currency;
use rust_decimal::Decimal;
use sea_orm::{EntityTrait, PaginatorTrait};

use super::{
    admin::{self, ShippingMethodPatch, TaxRatePatch},
    entity::{shipping_method, tax_rate},
};
use crate::{
    base::{Patch, Result},
    infra::Tx,
};

/// Creates two shipping methods if there are none, and Kenya's VAT if there are no tax rates. Returns whether anything
/// was created.
pub async fn seed_default_rates(tx: &Tx, currency: Currency) -> Result<bool> {
    let method_count = shipping_method::Entity::find().count(tx).await?;
    let rate_count = tax_rate::Entity::find().count(tx).await?;
    if method_count == 0 {
        let standard = ShippingMethodPatch {
            name: Patch::Set("Standard".into()),
            description: Patch::Set("Two to four working days.".into()),
            price: Some(Decimal::from(350)),
            free_shipping_threshold: Patch::Set(Decimal::from(10_000)),
            ..ShippingMethodPatch::default()
        };
        let by_weight = ShippingMethodPatch {
            name: Patch::Set("Courier".into()),
            description: Patch::Set("The next working day, by weight.".into()),
            price: Some(Decimal::from(300)),
            price_per_kg: Patch::Set(Decimal::from(100)),
            max_weight_grams: Patch::Set(30_000),
            position: Some(1),
            ..ShippingMethodPatch::default()
        };
        admin::insert_shipping_method(tx, currency, standard).await?;
        admin::insert_shipping_method(tx, currency, by_weight).await?;
    }
    if rate_count == 0 {
        let vat =
            TaxRatePatch { name: Patch::Set("VAT".into()), percent: Some(Decimal::from(16)), included: Some(true) };
        admin::insert_tax_rate(tx, "KE", None, vat).await?;
    }
    Ok(method_count == 0 || rate_count == 0)
}
