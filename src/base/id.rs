//! Opaque global ids: what a thing is and its key, as one word that clients only hand back.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Error, Result};

/// What an id can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A category of the tree.
    Category,
    /// A product.
    Product,
    /// A product's variant.
    Variant,
    /// A place where stock lies.
    Location,
    /// A line of the stock's ledger.
    StockMovement,
    /// An order.
    Order,
    /// A line of an order.
    OrderLine,
    /// A parcel of an order.
    Fulfilment,
    /// A payment of an order.
    Payment,
    /// Money paid back.
    Refund,
    /// An account: a customer's or one of the staff.
    Customer,
    /// A customer's address.
    Address,
    /// A sign-in that lasts.
    Session,
    /// What a machine signs in with.
    ApiKey,
    /// A line of the audit log.
    AuditEntry,
    /// A piece of work that is done after a change.
    Job,
    /// A message to a customer.
    Message,
    /// A way of shipping.
    ShippingMethod,
    /// A rate of tax.
    TaxRate,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Category,
        Self::Product,
        Self::Variant,
        Self::Location,
        Self::StockMovement,
        Self::Order,
        Self::OrderLine,
        Self::Fulfilment,
        Self::Payment,
        Self::Refund,
        Self::Customer,
        Self::Address,
        Self::Session,
        Self::ApiKey,
        Self::AuditEntry,
        Self::Job,
        Self::Message,
        Self::ShippingMethod,
        Self::TaxRate,
    ];

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name of its type in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category => "Category",
            Self::Product => "Product",
            Self::Variant => "ProductVariant",
            Self::Location => "Location",
            Self::StockMovement => "StockMovement",
            Self::Order => "Order",
            Self::OrderLine => "OrderLine",
            Self::Fulfilment => "Fulfilment",
            Self::Payment => "Payment",
            Self::Refund => "Refund",
            Self::Customer => "Customer",
            Self::Address => "Address",
            Self::Session => "Session",
            Self::ApiKey => "ApiKey",
            Self::AuditEntry => "AuditEntry",
            Self::Job => "Job",
            Self::Message => "Message",
            Self::ShippingMethod => "ShippingMethod",
            Self::TaxRate => "TaxRate",
        }
    }
}

/// A typed id as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalId {
    /// What it names.
    pub kind: Kind,
    /// The key in its table.
    pub key: i64,
}

impl GlobalId {
    /// The id of `key` among all things of this kind.
    #[must_use]
    pub const fn new(kind: Kind, key: i64) -> Self {
        Self { kind, key }
    }

    /// The word that travels.
    #[must_use]
    pub fn encode(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", self.kind.name(), self.key))
    }

    /// Reads an id of any kind; `field` is where it stood.
    ///
    /// # Errors
    /// When it is not an id of this shop.
    pub fn decode(text: &str, field: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::bad_input(field, "this is not an id; use one that the shop gave out"))
    }

    /// Reads the key of an id that must be of one kind; `field` is where it stood.
    ///
    /// # Errors
    /// When it is no id, or the id of something else.
    pub fn key(text: &str, kind: Kind, field: &str) -> Result<i64> {
        let id = Self::decode(text, field)?;
        if id.kind == kind {
            return Ok(id.key);
        }
        let message = format!("this is the id of a {}; the id of a {} is needed", id.kind.name(), kind.name());
        Err(Error::bad_input(field, message))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (name, key) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        let kind = Kind::named(name)?;
        let key = key.parse().ok()?;
        // One thing has one id: "+7" and "07" are not other names of 7.
        let id = Self::new(kind, key);
        (key > 0 && id.encode() == text).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_every_kind_decodes_to_itself() {
        for kind in Kind::ALL {
            let id = GlobalId::new(kind, 42);
            assert_eq!(GlobalId::decode(&id.encode(), "id").ok(), Some(id));
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert_eq!(GlobalId::key(&id.encode(), kind, "id").ok(), Some(42));
        }
        assert_eq!(GlobalId::new(Kind::Variant, 7).encode(), BASE64_URL_SAFE_NO_PAD.encode("ProductVariant:7"));
    }

    #[test]
    fn id_of_another_kind_is_refused_with_both_names() {
        let id = GlobalId::new(Kind::Product, 7).encode();
        let error = GlobalId::key(&id, Kind::Category, "categoryId").expect_err("another kind").public();
        assert_eq!(error.field, ["categoryId"]);
        assert!(error.message.contains("Product") && error.message.contains("Category"), "{}", error.message);
    }

    #[test]
    fn id_has_one_spelling_and_a_positive_key() {
        for text in ["Product:0", "Product:-1", "Product:+7", "Product:07", "Product:", "Nothing:7", "Product", ""] {
            let encoded = BASE64_URL_SAFE_NO_PAD.encode(text);
            assert!(GlobalId::decode(&encoded, "id").is_err(), "{text}");
        }
        for text in ["", "Product:7", "UHJvZHVjdDo3=", "💥"] {
            assert!(GlobalId::decode(text, "id").is_err(), "{text}");
        }
    }
}
