//! Buyer of a checkout: account, contact data and addresses. Precedence: request, cart, account.

use sea_orm::EntityTrait;

use super::request::BuyerDetails;
use crate::{
    base::{Country, Error, LanguageCode, Patch, Result, Validator},
    cart::{
        CartDetails,
        access::caller_account_id,
        details::{self, AddressInput},
    },
    customer::{self, PostalAddress, address_row},
    identity::{Permission, account, entity::account as account_row},
    infra::Tx,
    sales::SalesContext,
};

/// The buyer with contact data and addresses.
pub(super) struct Buyer {
    /// Account of the buyer; `None` for a guest.
    pub account_id: Option<i64>,
    /// Whether the buyer is a customer with a verified e-mail address, or staff.
    pub is_verified: bool,
    /// Contact data.
    pub contact: Contact,
    /// Addresses.
    pub addresses: OrderAddresses,
}

/// Contact data of an order.
#[derive(Default)]
pub(super) struct Contact {
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// Language of notifications; `None` for the shop's.
    pub language: Option<LanguageCode>,
}

/// Addresses of an order.
pub(super) struct OrderAddresses {
    /// Shipping address.
    pub shipping: PostalAddress,
    /// Billing address.
    pub billing: PostalAddress,
}

/// Resolves and validates the buyer's data.
pub(super) async fn resolve_buyer(
    tx: &Tx,
    context: &SalesContext<'_>,
    requested: BuyerDetails,
    cart: CartDetails,
) -> Result<Buyer> {
    let BuyerDetails { email, phone, language, shipping_address, billing_address } = requested;
    let shop_country = context.config.shop.country;
    let account = load_buyer_account(tx, context).await?;
    let account_id = account.as_ref().map(|account| account.id);
    let is_staff = context.caller.permissions().has(Permission::OrderWrite);
    let is_verified = is_staff || account.as_ref().is_some_and(|account| account.email_verified_at.is_some());

    let resolver = AddressResolver { tx, account_id, shop_country };
    let shipping = resolver.resolve(shipping_address).await?.or(cart.shipping_address);
    let billing = resolver.resolve(billing_address).await?.or(cart.billing_address);
    let addresses = resolver.complete(shipping, billing).await?;

    let of_account =
        account.map(|account| Contact { email: account.email, phone: account.phone, language: account.language });
    let of_account = of_account.unwrap_or_default();
    let known =
        Contact { email: cart.email.or(of_account.email), phone: cart.phone.or(of_account.phone), ..of_account };
    let requested = Contact { email, phone, language };
    let contact = resolve_contact(requested, known, &addresses.shipping, shop_country)?;
    Ok(Buyer { account_id, is_verified, contact, addresses })
}

/// Loads the caller's account; `None` for callers without one.
async fn load_buyer_account(tx: &Tx, context: &SalesContext<'_>) -> Result<Option<account_row::Model>> {
    let Some(account_id) = caller_account_id(context.caller) else { return Ok(None) };
    let row = account_row::Entity::find_by_id(account_id).one(tx).await?;
    Ok(row.filter(|row| row.deleted_at.is_none()))
}

/// Resolver of the addresses of one buyer.
struct AddressResolver<'a> {
    tx: &'a Tx,
    account_id: Option<i64>,
    shop_country: Country,
}

impl AddressResolver<'_> {
    /// Resolves a requested address.
    async fn resolve(&self, requested: Option<AddressInput>) -> Result<Option<PostalAddress>> {
        let Some(input) = requested else { return Ok(None) };
        details::resolve_address(self.tx, self.account_id, input, self.shop_country).await.map(Some)
    }

    /// Completes missing addresses with the defaults of the account, and a missing billing address with the other one.
    async fn complete(
        &self,
        shipping: Option<PostalAddress>,
        billing: Option<PostalAddress>,
    ) -> Result<OrderAddresses> {
        let (shipping, billing) = match (shipping, self.account_id) {
            (Some(shipping), _) => (Some(shipping), billing),
            (None, None) => (None, billing),
            (None, Some(account_id)) => {
                let mut by_owner = customer::loader::load_addresses_by_owner(self.tx, &[account_id]).await?;
                let saved = by_owner.remove(&account_id).unwrap_or_default();
                let find_saved = |predicate: fn(&address_row::Model) -> bool| {
                    saved.iter().find(|address| predicate(address)).cloned().map(PostalAddress::from)
                };
                let billing = billing.or_else(|| find_saved(|address| address.is_default_billing));
                (find_saved(|address| address.is_default_shipping), billing)
            }
        };
        let shipping = shipping.ok_or_else(|| Error::bad_input("input.shippingAddress", "say where it goes"))?;
        Ok(OrderAddresses { billing: billing.unwrap_or_else(|| shipping.clone()), shipping })
    }
}

/// Validates the requested contact data, which takes precedence over the known one.
fn resolve_contact(
    requested: Contact,
    known: Contact,
    shipping_address: &PostalAddress,
    shop_country: Country,
) -> Result<Contact> {
    let Contact { email: requested_email, phone: requested_phone, language } = requested;
    let Contact { mut email, mut phone, language: known_language } = known;
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    match requested_email.map(|input| account::validate_email(&input, "input.email")) {
        Some(Ok(valid_email)) => email = Some(valid_email),
        Some(Err(error)) => input.reject("email", error.to_public_error().message),
        None => {}
    }
    let is_phone_requested = requested_phone.is_some();
    let phone_country = shipping_address.country().unwrap_or(shop_country);
    input.apply_phone(&mut phone, Patch::from_provided(requested_phone), "phone", phone_country);
    let phone = phone.or_else(|| shipping_address.phone.clone());
    if email.is_none() && phone.is_none() && !is_phone_requested {
        input.reject("email", "say where you can be reached: an e-mail address or a telephone number");
    }
    validator.finish()?;
    Ok(Contact { email, phone, language: language.or(known_language) })
}
