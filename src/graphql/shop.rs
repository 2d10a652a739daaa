//! Shop information for storefronts.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use async_graphql::{Context, Object, SimpleObject};

use super::{
    context::request_context,
    guard::RequireStaff,
    identity::oidc_login::{LoginProvider, list_login_providers},
    order::payment_method::PaymentMethodObject,
    scalars::{CountryCode, CurrencyCode, LanguageScalar},
};
use crate::{
    base::{Country, LanguageCode, Result, phone},
    customer::postal_address::REQUIRED_ADDRESS_FIELDS,
    infra::config::ShopPolicy,
    pricing::{shipping, shipping_method},
};

/// Country of an address.
#[derive(Debug, SimpleObject)]
#[graphql(name = "Country")]
pub struct CountryObject {
    /// Country code (ISO 3166-1 alpha-2).
    code: CountryCode,
    /// English name.
    name: &'static str,
    /// Calling code of phone numbers, such as `+254`; null if the country has none.
    phone_prefix: Option<String>,
    /// Input fields that an address in the country must have. In every country one of `firstName`, `lastName` and
    /// `company` is required too.
    required_fields: [&'static str; REQUIRED_ADDRESS_FIELDS.len()],
}

impl From<Country> for CountryObject {
    fn from(country: Country) -> Self {
        Self {
            code: CountryCode(country.to_string()),
            name: country.name(),
            phone_prefix: phone::calling_code(country),
            required_fields: REQUIRED_ADDRESS_FIELDS,
        }
    }
}

/// Policy of the shop, such as its terms of service.
#[derive(Debug, SimpleObject)]
#[graphql(name = "ShopPolicy")]
pub struct ShopPolicyObject {
    /// Configured name, such as `privacy`.
    name: String,
    /// URL of its page.
    url: String,
}

impl From<ShopPolicy<'_>> for ShopPolicyObject {
    fn from(ShopPolicy { name, url }: ShopPolicy<'_>) -> Self {
        Self { name: name.to_owned(), url: url.to_owned() }
    }
}

/// Shop information for storefronts.
#[derive(Debug)]
pub struct Shop;

/// Shop information for storefronts.
#[Object]
impl Shop {
    /// Name of the shop.
    async fn name<'a>(&self, ctx: &Context<'a>) -> &'a str {
        &request_context(ctx).app_state.config.shop.name
    }

    /// Currency of all prices.
    async fn currency(&self, ctx: &Context<'_>) -> CurrencyCode {
        CurrencyCode(request_context(ctx).app_state.config.shop.currency)
    }

    /// Currencies of prices; at present one.
    async fn currencies(&self, ctx: &Context<'_>) -> [CurrencyCode; 1] {
        [CurrencyCode(request_context(ctx).app_state.config.shop.currency)]
    }

    /// Languages of notifications.
    async fn languages(&self) -> [LanguageScalar; LanguageCode::ALL.len()] {
        LanguageCode::ALL.map(LanguageScalar)
    }

    /// All countries that an address can have, ordered by code.
    async fn countries(&self, ctx: &Context<'_>) -> Result<Vec<CountryObject>> {
        let countries: Vec<_> = Country::all().map(CountryObject::from).collect();
        request_context(ctx).charge_list_values(ctx, countries.len())?;
        Ok(countries)
    }

    /// Countries that an active shipping method delivers to, ordered by code; empty without an active shipping method.
    async fn shipping_countries(&self, ctx: &Context<'_>) -> Result<Vec<CountryObject>> {
        let context = request_context(ctx);
        let methods = shipping::list_shipping_methods(&context.db, true).await?;
        let is_destination =
            |country: &Country| methods.iter().any(|method: &shipping_method::Model| method.serves_country(*country));
        let countries: Vec<_> = Country::all().filter(is_destination).map(CountryObject::from).collect();
        context.charge_list_values(ctx, countries.len())?;
        Ok(countries)
    }

    /// Configured OpenID Connect providers.
    async fn login_providers(&self, ctx: &Context<'_>) -> Vec<LoginProvider> {
        list_login_providers(request_context(ctx))
    }

    /// Enabled payment methods, in the shop's order. `Cart.paymentMethods` are those with which a cart can be paid.
    async fn payment_methods(&self, ctx: &Context<'_>) -> Result<Vec<PaymentMethodObject>> {
        let context = request_context(ctx);
        let methods = PaymentMethodObject::list(context, None);
        context.charge_list_values(ctx, methods.len())?;
        Ok(methods)
    }

    /// Contact email address; null if none is configured.
    async fn contact_email<'a>(&self, ctx: &Context<'a>) -> Option<&'a str> {
        Some(request_context(ctx).app_state.config.shop.contact_email.as_str()).filter(|email| !email.is_empty())
    }

    /// URL of the logo; null if none is configured.
    async fn logo_url<'a>(&self, ctx: &Context<'a>) -> Option<&'a str> {
        Some(request_context(ctx).app_state.config.shop.logo_url.as_str()).filter(|url| !url.is_empty())
    }

    /// Configured policies, such as terms of service; may be empty.
    async fn policies(&self, ctx: &Context<'_>) -> Vec<ShopPolicyObject> {
        request_context(ctx).app_state.config.shop.policies().map(ShopPolicyObject::from).collect()
    }

    /// Savannah version of the server; null unless the caller has a permission.
    #[graphql(guard = "RequireStaff")]
    async fn version(&self) -> Option<&'static str> {
        Some(env!("CARGO_PKG_VERSION"))
    }
}

/// Shop queries.
#[derive(Debug, Default)]
pub struct ShopQuery;

#[Object]
impl ShopQuery {
    /// Shop information for storefronts: name, currency, languages, countries, login providers.
    async fn shop(&self) -> Shop {
        Shop
    }
}
