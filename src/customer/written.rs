//! An address as it was written down: a copy that belongs to whatever holds it, a cart or an order.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    address::{self, AddressChange},
    entity::address as address_row,
};
use crate::base::{Country, Error, Result};

/// Where somebody can be reached. It is kept as JSON with these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are explained in the schema")]
pub struct Written {
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

impl From<address_row::Model> for Written {
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

impl Written {
    /// Takes in an address that stands at a path of the input, as strictly as one that is saved.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn read(change: AddressChange, at: &'static str, shop: Country) -> Result<Self> {
        let mut row = address::blank(DateTime::UNIX_EPOCH, 0);
        address::lay(&mut row, change, (at, shop))?;
        Ok(row.into())
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// When it is not an address.
    pub fn kept(value: Value) -> Result<Self> {
        serde_json::from_value(value).map_err(|why| Error::fault("reading an address that was kept", why))
    }

    /// As it is kept.
    #[must_use]
    pub fn keep(&self) -> Value {
        json!(self)
    }

    /// The country, if it is still one.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        Country::named(&self.country_code)
    }
}
