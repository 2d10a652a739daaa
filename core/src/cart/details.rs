//! Cart details: addresses, shipping method, contact and note.

use sea_orm::{ActiveModelTrait, IntoActiveModel};

use super::{
    access::{CartContents, CartTarget, LockedCart, caller_account_id, lock_cart},
    entity::cart,
    events::CartChanged,
    queries::load_cart_contents,
};
use crate::{
    base::{Country, Error, Patch, Result, Validator, error::PublicErrorCode, validation::validate_note},
    customer::{AddressPatch, OwnerScope, PostalAddress, loader},
    identity::account,
    infra::{Db, Tx},
    pricing::{PricingContext, ShopContext, price_order},
};

/// An address of an input, and its path for errors.
#[derive(Debug, Clone)]
pub struct AddressInput {
    /// The path of the address in the input.
    pub path: &'static str,
    /// The address.
    pub choice: AddressChoice,
}

/// A reference to a saved address, or inline fields.
#[derive(Debug, Clone)]
pub enum AddressChoice {
    /// A saved address of the caller, by primary key.
    Saved(i64),
    /// Inline fields.
    Inline(Box<AddressPatch>),
}

/// The addresses to set on a cart.
#[derive(Debug, Clone, Default)]
pub struct CartAddresses {
    /// The shipping address.
    pub shipping: Patch<AddressInput>,
    /// The billing address; defaults to the shipping address.
    pub billing: Patch<AddressInput>,
}

/// The contact data to set on a cart.
#[derive(Debug, Clone, Default)]
pub struct CartContact {
    /// The email address.
    pub email: Patch,
    /// The phone number.
    pub phone: Patch,
}

/// Sets the shipping and billing address of a cart.
///
/// # Errors
/// Returns the errors of [`lock_cart`], `NotFound` if a saved address does not exist, or all errors of an inline
/// address.
pub async fn set_addresses(
    db: &Db,
    target: CartTarget<'_>,
    addresses: CartAddresses,
    shop_country: Country,
) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        let mut after = row.clone();
        apply_addresses(tx, &mut after, caller_account_id(target.scope), addresses, shop_country).await?;
        save_cart(tx, row, after).await
    })
    .await
}

async fn apply_addresses(
    tx: &Tx,
    row: &mut cart::Model,
    account_id: Option<i64>,
    addresses: CartAddresses,
    shop_country: Country,
) -> Result<()> {
    let CartAddresses { shipping, billing } = addresses;
    for (patch, column) in [(shipping, &mut row.shipping_address), (billing, &mut row.billing_address)] {
        match patch {
            Patch::Unchanged => {}
            Patch::Clear => *column = None,
            Patch::Set(address) => {
                *column = Some(resolve_address(tx, account_id, address, shop_country).await?.to_json());
            }
        }
    }
    Ok(())
}

/// Resolves an address input: a saved address is read, inline fields are validated.
///
/// # Errors
/// Returns `NotFound` if the saved address does not exist, or all errors of the inline address.
pub async fn resolve_address(
    tx: &Tx,
    account: Option<i64>,
    address: AddressInput,
    shop_country: Country,
) -> Result<PostalAddress> {
    let AddressInput { path, choice } = address;
    match choice {
        AddressChoice::Inline(patch) => PostalAddress::default().apply_patch(*patch, path, shop_country),
        AddressChoice::Saved(address_id) => {
            let missing = || Error::not_found(&format!("{path}.addressId"), "address");
            let owner_scope = OwnerScope::Account(account.ok_or_else(missing)?);
            let saved_address = loader::load_addresses(tx, &[address_id], owner_scope).await?.remove(&address_id);
            Ok(saved_address.ok_or_else(missing)?.into())
        }
    }
}

/// Sets or clears the shipping method of a cart.
///
/// # Errors
/// Returns the errors of [`lock_cart`], `NotFound` if the method does not exist, or `IllegalTransition` if it does not
/// support the country or weight.
pub async fn set_shipping_method(
    db: &Db,
    target: CartTarget<'_>,
    method_id: Option<i64>,
    shop: ShopContext<'_>,
) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        let mut after = row.clone();
        after.shipping_method_id = method_id;
        let Some(method_id) = method_id else { return save_cart(tx, row, after).await };
        let contents = load_cart_contents(tx, row.id, &[], tx.now()).await?;
        check_shipping_method(tx, &row, &contents, MethodChoice { method_id, path: "shippingMethodId" }, shop).await?;
        Ok(LockedCart::new(update_cart(tx, row, after).await?, contents))
    })
    .await
}

/// The shipping method to select, and its path in the input.
#[derive(Debug, Clone, Copy)]
struct MethodChoice {
    method_id: i64,
    path: &'static str,
}

/// Checks that a shipping method exists and supports the cart's destination and weight. Statements: 2.
async fn check_shipping_method(
    tx: &Tx,
    row: &cart::Model,
    contents: &CartContents,
    choice: MethodChoice,
    shop: ShopContext<'_>,
) -> Result<()> {
    let MethodChoice { method_id, path } = choice;
    let pricing = PricingContext::load(tx, shipping_country(row, shop.country)).await?;
    let method = pricing.find_method(method_id).ok_or_else(|| Error::not_found(path, "shipping method"))?;
    let priced = price_order(&pricing, shop.category_tree, contents.sellable_lines(), None)?;
    if method.supports_shipment(pricing.country, priced.weight_grams) {
        return Ok(());
    }
    let (name, grams, country) = (&method.name, priced.weight_grams, pricing.country.name());
    let message = format!("{name} does not carry {grams} g to {country}");
    Err(Error::user(PublicErrorCode::IllegalTransition, path, message))
}

/// Returns the shipping country for pricing; defaults to the shop's country.
#[must_use]
pub fn shipping_country(row: &cart::Model, shop_country: Country) -> Country {
    let code = row.shipping_address.as_ref().and_then(|address| address["countryCode"].as_str());
    code.and_then(Country::from_code).unwrap_or(shop_country)
}

/// Sets the note for the packer; `None` or blank clears it.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or `BadUserInput` if the note is too long or has control characters.
pub async fn set_note(db: &Db, target: CartTarget<'_>, note: Option<&str>) -> Result<LockedCart> {
    db.write(async |tx| {
        let note = validate_optional_note(note, "note")?;
        let row = lock_cart(tx, target).await?;
        let after = cart::Model { note, ..row.clone() };
        save_cart(tx, row, after).await
    })
    .await
}

/// Returns the trimmed note; `None` if it is blank.
fn validate_optional_note(note: Option<&str>, path: &str) -> Result<Option<String>> {
    let note = note.map(|note| validate_note(note, path)).transpose()?;
    Ok(note.filter(|note| !note.is_empty()))
}

/// Sets the email address and phone number of a cart.
///
/// # Errors
/// Returns the errors of [`lock_cart`], or all errors of the input.
pub async fn set_contact(
    db: &Db,
    target: CartTarget<'_>,
    contact: CartContact,
    shop_country: Country,
) -> Result<LockedCart> {
    db.write(async |tx| {
        let row = lock_cart(tx, target).await?;
        let mut after = row.clone();
        apply_contact(&mut after, contact, shop_country)?;
        save_cart(tx, row, after).await
    })
    .await
}

fn apply_contact(row: &mut cart::Model, contact: CartContact, shop_country: Country) -> Result<()> {
    let CartContact { email, phone } = contact;
    let destination = shipping_country(row, shop_country);
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    match email {
        Patch::Unchanged => {}
        Patch::Clear => row.email = None,
        Patch::Set(email_input) => match account::validate_email(&email_input, "input.email") {
            Ok(email) => row.email = Some(email),
            Err(error) => input.reject("email", error.to_public_error().message),
        },
    }
    input.apply_phone(&mut row.phone, phone, "phone", destination);
    validator.finish()
}

/// The details of a new cart; their paths are those of an `input` argument.
#[derive(Debug, Clone, Default)]
pub struct NewCartDetails {
    /// The addresses.
    pub addresses: CartAddresses,
    /// The contact data.
    pub contact: CartContact,
    /// The note for the packer.
    pub note: Option<String>,
    /// The primary key of the shipping method.
    pub shipping_method_id: Option<i64>,
}

impl NewCartDetails {
    /// Sets the details of a locked cart whose lines are known; details that are not given are unchanged. Without any,
    /// nothing is written.
    ///
    /// # Errors
    /// Returns the errors of the details.
    pub(super) async fn apply(
        self,
        tx: &Tx,
        locked: LockedCart,
        account_id: Option<i64>,
        shop: ShopContext<'_>,
    ) -> Result<LockedCart> {
        let Self { addresses, contact, note, shipping_method_id } = self;
        let LockedCart { row, contents, adjustments } = locked;
        let mut after = row.clone();
        apply_addresses(tx, &mut after, account_id, addresses, shop.country).await?;
        apply_contact(&mut after, contact, shop.country)?;
        if note.is_some() {
            after.note = validate_optional_note(note.as_deref(), "input.note")?;
        }
        if let Some(method_id) = shipping_method_id {
            after.shipping_method_id = Some(method_id);
            let choice = MethodChoice { method_id, path: "input.shippingMethodId" };
            check_shipping_method(tx, &after, &contents, choice, shop).await?;
        }
        Ok(LockedCart { row: update_cart(tx, row, after).await?, contents, adjustments })
    }
}

/// Writes a changed cart; the version is unchanged if no value changes. The lines are read in the same transaction, so
/// that they match the version.
async fn save_cart(tx: &Tx, before: cart::Model, after: cart::Model) -> Result<LockedCart> {
    let row = update_cart(tx, before, after).await?;
    LockedCart::load(tx, row).await
}

async fn update_cart(tx: &Tx, before: cart::Model, mut after: cart::Model) -> Result<cart::Model> {
    if before == after {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = tx.now();
    let row = after.into_active_model().reset_all().update(tx).await?;
    tx.emit_event(CartChanged { cart: row.id }).await?;
    Ok(row)
}
