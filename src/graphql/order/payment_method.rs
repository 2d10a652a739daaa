//! Payment methods of the shop.

use async_graphql::{Enum, ID, SimpleObject};

use crate::{
    base::Money,
    graphql::{
        context::RequestContext,
        scalars::{CountryCode, MoneyObject},
    },
    payment::{self, PayableOrder},
};

/// Kind of a payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment::PaymentMethodKind", name = "PaymentMethodKind")]
pub enum PaymentMethodKindEnum {
    /// Payment to the carrier.
    CashOnDelivery,
    /// Transfer to the shop's bank account.
    BankTransfer,
    /// Payment in the shop.
    PayAtCounter,
    /// Payment with a phone.
    MobileMoney,
    /// Payment by card.
    Card,
    /// Test payment, which moves no money.
    Test,
    /// Another method.
    Other,
}

/// Payment method of the shop.
#[derive(Debug, SimpleObject)]
#[graphql(name = "PaymentMethod")]
pub struct PaymentMethodObject {
    /// ID, for `paymentMethodId`.
    id: ID,
    /// Kind.
    kind: PaymentMethodKindEnum,
    /// Name shown to buyers.
    name: String,
    /// Instructions shown to buyers; null if there are none.
    instructions: Option<String>,
    /// Smallest order total; null if there is no limit.
    min_amount: Option<MoneyObject>,
    /// Largest order total; null if there is no limit.
    max_amount: Option<MoneyObject>,
    /// Shipping countries in which the method is available; empty for all.
    countries: Vec<CountryCode>,
}

impl PaymentMethodObject {
    /// Returns the enabled methods, or only those with which an order can be paid.
    pub(in crate::graphql) fn list(context: &RequestContext, order: Option<PayableOrder>) -> Vec<Self> {
        let currency = context.app_state.config.shop.currency;
        let is_available =
            |method: &&payment::PaymentMethod| order.is_none_or(|order| method.find_obstacle(order).is_none());
        let to_object = |method: &payment::PaymentMethod| {
            let [min_amount, max_amount] =
                method.limits.map(|limit| limit.map(|minor_units| Money::new(minor_units, currency).into()));
            let countries = method.config.iter().flat_map(|config| &config.countries);
            Self {
                id: method.id.clone().into(),
                kind: method.kind.into(),
                name: method.name.clone(),
                instructions: method.instructions.clone(),
                min_amount,
                max_amount,
                countries: countries.map(|code| CountryCode(code.to_ascii_uppercase())).collect(),
            }
        };
        context.app_state.payment_providers.methods().iter().filter(is_available).map(to_object).collect()
    }
}
