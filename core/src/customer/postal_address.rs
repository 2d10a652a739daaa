//! Postal address: the fields that saved addresses, carts and orders have in common, and their validation.

use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entity::address as address_row;
use crate::{
    base::{Country, Error, Patch, Result, Validator},
    identity::account::MAX_NAME_CHARS,
};

/// Input fields that an address in any country must have, besides a name: a first name, a last name or a company.
pub const REQUIRED_ADDRESS_FIELDS: [&str; 3] = ["line1", "city", "countryCode"];

/// Postal address. Carts and orders store a copy as JSON with these field names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are explained in the schema")]
pub struct PostalAddress {
    pub first_name: String,
    pub last_name: String,
    pub company: Option<String>,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub region: Option<String>,
    pub postal_code: Option<String>,
    pub country_code: String,
    pub phone: Option<String>,
}

/// Partial update of a postal address.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of the address")]
pub struct AddressPatch {
    pub first_name: Patch,
    pub last_name: Patch,
    pub company: Patch,
    pub line1: Patch,
    pub line2: Patch,
    pub city: Patch,
    pub region: Patch,
    pub postal_code: Patch,
    pub country_code: Patch,
    pub phone: Patch,
}

impl From<address_row::Model> for PostalAddress {
    fn from(row: address_row::Model) -> Self {
        Self {
            first_name: row.first_name,
            last_name: row.last_name,
            company: row.company,
            line1: row.line1,
            line2: row.line2,
            city: row.city,
            region: row.region,
            postal_code: row.postal_code,
            country_code: row.country_code,
            phone: row.phone,
        }
    }
}

/// Sets the columns of the postal address only.
impl From<PostalAddress> for address_row::ActiveModel {
    fn from(address: PostalAddress) -> Self {
        Self {
            first_name: Set(address.first_name),
            last_name: Set(address.last_name),
            company: Set(address.company),
            line1: Set(address.line1),
            line2: Set(address.line2),
            city: Set(address.city),
            region: Set(address.region),
            postal_code: Set(address.postal_code),
            country_code: Set(address.country_code),
            phone: Set(address.phone),
            ..Self::default()
        }
    }
}

impl PostalAddress {
    /// Applies and validates a patch; `path` is the input path for errors, `shop_country` the default phone region.
    ///
    /// # Errors
    /// Returns all invalid fields together.
    pub fn apply_patch(mut self, patch: AddressPatch, path: &'static str, shop_country: Country) -> Result<Self> {
        let AddressPatch {
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
        } = patch;
        let mut validator = Validator::default();
        let mut input = validator.at(path);
        input.apply_text(&mut self.first_name, first_name, "firstName", MAX_NAME_CHARS);
        input.apply_text(&mut self.last_name, last_name, "lastName", MAX_NAME_CHARS);
        input.apply_optional_text(&mut self.company, company, "company", 100);
        input.apply_required_text(&mut self.line1, line1, "line1", 200);
        input.apply_optional_text(&mut self.line2, line2, "line2", 200);
        input.apply_required_text(&mut self.city, city, "city", 100);
        input.apply_optional_text(&mut self.region, region, "region", 100);
        input.apply_optional_text(&mut self.postal_code, postal_code, "postalCode", 20);
        input.apply_country(&mut self.country_code, country_code, "countryCode");
        let phone_region = self.country().unwrap_or(shop_country);
        input.apply_phone(&mut self.phone, phone, "phone", phone_region);
        if self.first_name.is_empty() && self.last_name.is_empty() && self.company.is_none() {
            input.reject("lastName", "a name is required: a first name, a last name or a company");
        }
        validator.finish()?;
        Ok(self)
    }

    /// Deserializes a stored address.
    pub fn from_json(value: Value) -> Result<Self> {
        serde_json::from_value(value).map_err(|error| Error::internal("reading a stored address", error))
    }

    /// Serializes the address for storage, the audit log and the data export.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!(self)
    }

    /// Returns the country; `None` if the stored code is no longer valid.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        Country::from_code(&self.country_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_address_fields_are_those_of_the_validation() {
        let shop_country = Country::from_code("KE").expect("a country");
        let empty = || Patch::Set(String::new());
        let patch = AddressPatch {
            first_name: empty(),
            last_name: empty(),
            company: empty(),
            line1: empty(),
            line2: empty(),
            city: empty(),
            region: empty(),
            postal_code: empty(),
            country_code: empty(),
            phone: empty(),
        };
        let error = PostalAddress::default().apply_patch(patch, "input", shop_country).expect_err("an empty address");
        let rejected = Error::into_public_errors(error).expect("user errors");
        let fields: Vec<_> = rejected.iter().map(|error| error.field[1].as_str()).collect();
        let (name, address_fields) = fields.split_last().expect("fields");
        assert_eq!((address_fields, *name), (&REQUIRED_ADDRESS_FIELDS[..], "lastName"));
    }
}
