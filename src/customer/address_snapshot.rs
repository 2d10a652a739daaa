//! Address snapshot: an immutable copy stored with a cart or an order.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    address::{self, AddressPatch},
    entity::address as address_row,
};
use crate::base::{Country, Error, Result};

/// Copy of an address, stored as JSON with these field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are explained in the schema")]
pub struct AddressSnapshot {
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

impl From<address_row::Model> for AddressSnapshot {
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

impl AddressSnapshot {
    /// Creates a snapshot from input, validated like a saved address; `path` is the input path for errors.
    ///
    /// # Errors
    /// Returns all invalid fields together.
    pub fn from_patch(patch: AddressPatch, path: &'static str, shop_country: Country) -> Result<Self> {
        let mut row = address::new_blank_address(DateTime::UNIX_EPOCH, 0);
        address::apply_address_patch(&mut row, patch, (path, shop_country))?;
        Ok(row.into())
    }

    /// Deserializes a stored snapshot.
    pub fn from_json(value: Value) -> Result<Self> {
        serde_json::from_value(value).map_err(|error| Error::internal("reading an address that was kept", error))
    }

    /// Serializes the snapshot for storage.
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
