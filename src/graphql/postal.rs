//! Addresses that are written out, in a cart or on an order, and which address is meant.

use async_graphql::{ID, InputObject, MaybeUndefined, Object, OneofObject};

use super::profile::patch;
use crate::{
    base::{Country, GlobalId, Patch, Result, id::Kind},
    cart::said::Place,
    customer::{Written, address::AddressChange},
};

/// Where somebody can be reached, as it was written down: a copy, whatever becomes of an address that is saved.
#[derive(Debug)]
pub struct PostalAddress(pub Written);

/// Where somebody can be reached, as it was written down: a copy, whatever becomes of an address that is saved.
#[Object]
impl PostalAddress {
    /// The first name of whoever lives there; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Their last name; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// The company; null for a private address.
    async fn company(&self) -> Option<&str> {
        self.0.company.as_deref()
    }

    /// Street and number, or a post box.
    async fn line1(&self) -> &str {
        &self.0.line1
    }

    /// Building, floor, or what else helps to find it.
    async fn line2(&self) -> Option<&str> {
        self.0.line2.as_deref()
    }

    /// The town.
    async fn city(&self) -> &str {
        &self.0.city
    }

    /// The county, state or province, where it belongs in an address.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The postal code, where there are any.
    async fn postal_code(&self) -> Option<&str> {
        self.0.postal_code.as_deref()
    }

    /// The country by ISO 3166-1: `KE`.
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// The country's name in English.
    async fn country(&self) -> &'static str {
        self.0.country().map_or("", Country::name)
    }

    /// A telephone number in E.164 for whoever delivers there.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }
}

/// An address written out. A first name, a last name or a company must be there.
#[derive(Debug, InputObject)]
pub struct PostalAddressInput {
    /// At most 100 characters.
    first_name: Option<String>,
    /// At most 100 characters.
    last_name: Option<String>,
    /// At most 100 characters.
    company: Option<String>,
    /// Street and number, or a post box. At most 200 characters.
    line1: String,
    /// Building, floor, or what else helps to find it. At most 200 characters.
    line2: Option<String>,
    /// The town. At most 100 characters.
    city: String,
    /// The county, state or province. At most 100 characters.
    region: Option<String>,
    /// At most 20 characters.
    postal_code: Option<String>,
    /// The two letters of ISO 3166-1: `KE`.
    country_code: String,
    /// A telephone number with its country's code, or as it is dialled in the address's country.
    phone: Option<String>,
}

impl From<PostalAddressInput> for AddressChange {
    fn from(input: PostalAddressInput) -> Self {
        let PostalAddressInput {
            first_name,
            last_name,
            company,
            line1,
            line2,
            city,
            region,
            postal_code,
            country_code,
            phone,
        } = input;
        Self {
            first_name: Patch::to(first_name),
            last_name: Patch::to(last_name),
            company: Patch::to(company),
            line1: Patch::Set(line1),
            line2: Patch::to(line2),
            city: Patch::Set(city),
            region: Patch::to(region),
            postal_code: Patch::to(postal_code),
            country_code: Patch::Set(country_code),
            phone: Patch::to(phone),
        }
    }
}

/// Which address is meant: one of one's own that is saved, or one that is written out.
#[derive(Debug, OneofObject)]
pub enum AddressChoiceInput {
    /// The id of one of one's own.
    AddressId(ID),
    /// This one.
    Address(Box<PostalAddressInput>),
}

impl AddressChoiceInput {
    /// The telephone number that comes with it.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        match self {
            Self::AddressId(_) => None,
            Self::Address(input) => input.phone.as_deref(),
        }
    }

    /// The address as the carts' room knows it; `at` is where it stands.
    ///
    /// # Errors
    /// When the id is none of an address.
    pub fn read(self, at: &str) -> Result<Place> {
        match self {
            Self::AddressId(id) => GlobalId::key(&id, Kind::Address, &format!("{at}.addressId")).map(Place::Saved),
            Self::Address(input) => Ok(Place::Written(Box::new((*input).into()))),
        }
    }
}

/// What is said of an address, if anything is.
///
/// # Errors
/// When the id is none of an address.
pub fn place(said: MaybeUndefined<AddressChoiceInput>, at: &str) -> Result<Patch<Place>> {
    Ok(match patch(said) {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(choice) => Patch::Set(choice.read(at)?),
    })
}
