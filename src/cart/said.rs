//! What a shopper says of a cart besides its lines: where it goes, how, and what to know about it.

use sea_orm::{ActiveModelTrait, IntoActiveModel};

use super::{
    entity::cart,
    hold::{Held, Target, contents, hold, owner},
};
use crate::{
    base::{Country, Error, Patch, Result, error::Code},
    catalog::Tree,
    customer::{Reach, Written, address::AddressChange, check, loader},
    identity::account,
    infra::Tx,
    pricing::{Terms, reckon},
};

/// The longest note. Characters.
pub const NOTE: usize = 1000;

/// Which address is meant: one that is saved, or one that is written out.
#[derive(Debug, Clone)]
pub enum Place {
    /// One of one's own, by its key.
    Saved(i64),
    /// This one.
    Written(Box<AddressChange>),
}

/// Where a cart goes, and where its bill.
#[derive(Debug, Default)]
pub struct Places {
    /// The goods.
    pub shipping: Patch<Place>,
    /// The bill; where the goods go when nothing is said.
    pub billing: Patch<Place>,
}

/// Says where a cart goes.
///
/// # Errors
/// When the cart cannot be changed, or an address is not there or cannot be.
pub async fn set_places(tx: &Tx, target: Target<'_>, places: Places, country: Country) -> Result<Held> {
    let row = hold(tx, target).await?;
    let mut after = row.clone();
    let Places { shipping, billing } = places;
    let account = owner(target.caller);
    if let Some(place) = copy(tx, account, shipping, ("input.shipping", country)).await? {
        after.shipping_address = place.map(|place| place.keep());
    }
    if let Some(place) = copy(tx, account, billing, ("input.billing", country)).await? {
        after.billing_address = place.map(|place| place.keep());
    }
    save(tx, row, after).await
}

/// An address as a cart keeps it; `None` when nothing is said of it.
async fn copy(
    tx: &Tx,
    account: Option<i64>,
    place: Patch<Place>,
    (at, shop): (&'static str, Country),
) -> Result<Option<Option<Written>>> {
    let place = match place {
        Patch::Keep => return Ok(None),
        Patch::Clear => return Ok(Some(None)),
        Patch::Set(place) => place,
    };
    written(tx, account, place, (at, shop)).await.map(Some).map(Some)
}

/// An address, whichever way it is meant, as it is now.
///
/// # Errors
/// When it is not there, or with everything that is wrong with it.
pub async fn written(
    tx: &Tx,
    account: Option<i64>,
    place: Place,
    (at, shop): (&'static str, Country),
) -> Result<Written> {
    match place {
        Place::Written(change) => Written::read(*change, at, shop),
        Place::Saved(key) => {
            let missing = || Error::not_found(&format!("{at}.addressId"), "address");
            let reach = Reach::Own(account.ok_or_else(missing)?);
            let found = loader::addresses(tx, &[key], reach).await?.remove(&key);
            Ok(found.ok_or_else(missing)?.into())
        }
    }
}

/// Says how a cart is sent, or that this is open again.
///
/// # Errors
/// When the cart cannot be changed, or cannot be sent like that.
pub async fn set_method(
    tx: &Tx,
    target: Target<'_>,
    method: Option<i64>,
    (tree, shop): (&Tree, Country),
) -> Result<Held> {
    let row = hold(tx, target).await?;
    let mut after = row.clone();
    after.shipping_method_id = method;
    let Some(key) = method else { return save(tx, row, after).await };
    let field = "shippingMethodId";
    let terms = Terms::load(tx, country(&row, shop)).await?;
    let method = terms.method(key).ok_or_else(|| Error::not_found(field, "shipping method"))?;
    let contents = contents(tx, (row.id, &[]), tx.now()).await?;
    let priced = reckon(&terms, tree, contents.offered(), None)?;
    if !method.fits(terms.country, priced.grams) {
        let message = format!("{} does not carry {} g to {}", method.name, priced.grams, terms.country.name());
        return Err(Error::user(Code::IllegalTransition, field, message));
    }
    Ok(Held { row: write(tx, row, after).await?, contents })
}

/// Where a cart goes, as far as prices go: to the shop's own country while nobody has said.
#[must_use]
pub fn country(row: &cart::Model, shop: Country) -> Country {
    let code = row.shipping_address.as_ref().and_then(|address| address["countryCode"].as_str());
    code.and_then(Country::named).unwrap_or(shop)
}

/// Says something to whoever packs the goods; nothing clears it.
///
/// # Errors
/// When the cart cannot be changed, or the note is too long or holds what cannot be read.
pub async fn set_note(tx: &Tx, target: Target<'_>, note: Option<&str>) -> Result<Held> {
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    if let Some(note) = note {
        let length = note.chars().count();
        if length > NOTE {
            return Err(Error::bad_input("note", format!("this has {length} characters; at most {NOTE} will do")));
        }
        if note.chars().any(|c| c.is_control() && c != '\n' && c != '\r' && c != '\t') {
            return Err(Error::bad_input("note", "this must be without control characters"));
        }
    }
    let row = hold(tx, target).await?;
    let after = cart::Model { note: note.map(str::to_owned), ..row.clone() };
    save(tx, row, after).await
}

/// Says how whoever buys can be reached.
///
/// # Errors
/// When the cart cannot be changed, or with everything that is wrong with what is said.
pub async fn set_contact(tx: &Tx, target: Target<'_>, (email, phone): (Patch, Patch), shop: Country) -> Result<Held> {
    let row = hold(tx, target).await?;
    let mut after = row.clone();
    let mut check = check::Check::new("input");
    match email {
        Patch::Keep => {}
        Patch::Clear => after.email = None,
        Patch::Set(typed) => match account::email(&typed, "input.email") {
            Ok(email) => after.email = Some(email),
            Err(why) => check.wrong("email", why.public().message),
        },
    }
    let there = country(&row, shop);
    check.phone(&mut after.phone, phone, "phone", there);
    check.done()?;
    save(tx, row, after).await
}

/// Writes what differs. What says nothing new changes nothing. The lines are read in the same transaction, so that they
/// are what belongs to the version.
async fn save(tx: &Tx, before: cart::Model, after: cart::Model) -> Result<Held> {
    let row = write(tx, before, after).await?;
    Held::read(tx, row).await
}

async fn write(tx: &Tx, before: cart::Model, mut after: cart::Model) -> Result<cart::Model> {
    if before == after {
        return Ok(before);
    }
    after.version += 1;
    after.updated_at = tx.now();
    Ok(after.into_active_model().reset_all().update(tx).await?)
}
