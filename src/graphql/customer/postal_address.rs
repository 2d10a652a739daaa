//! Postal addresses of carts and orders, and the choice between a saved and an inline address.

use async_graphql::{ID, InputObject, MaybeUndefined, Object, OneofObject};
use serde_json::Value;

use crate::{
    base::{Country, GlobalId, Patch, Result, global_id::NodeType},
    cart::details::{AddressChoice, AddressInput},
    customer::{AddressPatch, PostalAddress},
    graphql::{input::to_patch, scalars::CountryCode},
};

/// Postal address: a copy, independent of later changes to saved addresses.
#[derive(Debug, Clone)]
pub struct PostalAddressObject(PostalAddress);

impl From<PostalAddress> for PostalAddressObject {
    fn from(address: PostalAddress) -> Self {
        Self(address)
    }
}

impl PostalAddressObject {
    /// Deserializes a stored address.
    pub fn from_json(address: Option<Value>) -> Result<Option<Self>> {
        Ok(address.map(PostalAddress::from_json).transpose()?.map(Self))
    }
}

/// Postal address. That of a cart or an order is a copy, independent of later changes to saved addresses.
#[Object(name = "PostalAddress")]
impl PostalAddressObject {
    /// First name of the recipient; may be empty.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// Last name of the recipient; may be empty.
    async fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// Company name; null for a private address.
    async fn company(&self) -> Option<&str> {
        self.0.company.as_deref()
    }

    /// Street and house number, or a PO box.
    async fn line1(&self) -> &str {
        &self.0.line1
    }

    /// Building, floor or apartment; null if there is none.
    async fn line2(&self) -> Option<&str> {
        self.0.line2.as_deref()
    }

    /// City or town.
    async fn city(&self) -> &str {
        &self.0.city
    }

    /// County, state or province; null if there is none.
    async fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// Postal code; null if there is none.
    async fn postal_code(&self) -> Option<&str> {
        self.0.postal_code.as_deref()
    }

    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    async fn country_code(&self) -> CountryCode {
        CountryCode(self.0.country_code.clone())
    }

    /// Country name in English.
    async fn country(&self) -> &'static str {
        self.0.country().map_or("", Country::name)
    }

    /// Phone number (E.164) for the carrier; null if there is none.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }
}

/// Inline address. Requires a first name, a last name or a company.
#[derive(Debug, InputObject)]
pub struct PostalAddressInput {
    /// First name, at most 100 characters.
    first_name: Option<String>,
    /// Last name, at most 100 characters.
    last_name: Option<String>,
    /// Company name, at most 100 characters.
    company: Option<String>,
    /// Street and house number, or a PO box; at most 200 characters.
    line1: String,
    /// Building, floor or apartment; at most 200 characters.
    line2: Option<String>,
    /// City or town; at most 100 characters.
    city: String,
    /// County, state or province; at most 100 characters.
    region: Option<String>,
    /// Postal code; at most 20 characters.
    postal_code: Option<String>,
    /// Country code (ISO 3166-1 alpha-2), such as `KE`.
    country_code: CountryCode,
    /// Phone number, in international format or the national format of the address's country.
    phone: Option<String>,
}

impl From<PostalAddressInput> for AddressPatch {
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
            first_name: Patch::from_option(first_name),
            last_name: Patch::from_option(last_name),
            company: Patch::from_option(company),
            line1: Patch::Set(line1),
            line2: Patch::from_option(line2),
            city: Patch::Set(city),
            region: Patch::from_option(region),
            postal_code: Patch::from_option(postal_code),
            country_code: Patch::Set(country_code.into()),
            phone: Patch::from_option(phone),
        }
    }
}

/// Either a saved address of the caller or an inline address.
#[derive(Debug, OneofObject)]
pub enum AddressChoiceInput {
    /// ID of a saved address of the caller.
    AddressId(ID),
    /// Inline address.
    Address(Box<PostalAddressInput>),
}

impl AddressChoiceInput {
    /// Returns the phone number of the inline address.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        match self {
            Self::AddressId(_) => None,
            Self::Address(input) => input.phone.as_deref(),
        }
    }

    /// Converts to the cart's address input; `path` is the input field for user errors.
    ///
    /// # Errors
    /// Returns a user error if the ID is not an address ID.
    pub fn into_address_input(self, path: &'static str) -> Result<AddressInput> {
        let choice = match self {
            Self::AddressId(id) => {
                AddressChoice::Saved(GlobalId::decode_as(&id, NodeType::Address, &format!("{path}.addressId"))?)
            }
            Self::Address(input) => AddressChoice::Inline(Box::new((*input).into())),
        };
        Ok(AddressInput { path, choice })
    }
}

/// Converts an optional address choice to a patch.
///
/// # Errors
/// Returns a user error if the ID is not an address ID.
pub fn parse_address_patch(
    input: MaybeUndefined<AddressChoiceInput>,
    path: &'static str,
) -> Result<Patch<AddressInput>> {
    Ok(to_patch(input.map_value(|choice| choice.into_address_input(path)).transpose()?))
}
