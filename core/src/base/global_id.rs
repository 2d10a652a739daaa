//! Opaque global ids: node type and key, encoded as one string.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Error, Result};

/// The types that a global id can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeType {
    /// A category of the tree.
    Category,
    /// A product.
    Product,
    /// A product's variant.
    Variant,
    /// A stock location.
    Location,
    /// A stock movement.
    StockMovement,
    /// A line of a cart.
    CartLine,
    /// An order.
    Order,
    /// An entry of the history of an order.
    OrderHistoryEntry,
    /// A line of an order.
    OrderLine,
    /// A fulfillment of an order.
    Fulfillment,
    /// A payment of an order.
    Payment,
    /// A refund of a payment.
    Refund,
    /// An account: a person who logs in.
    Account,
    /// The customer side of an account; it has the key of the account.
    Customer,
    /// A customer's address.
    Address,
    /// A login session.
    Session,
    /// An API key.
    ApiKey,
    /// An entry of the audit log.
    AuditEntry,
    /// A background job.
    Job,
    /// A notification to a customer.
    Notification,
    /// A shipping method.
    ShippingMethod,
    /// A tax rate.
    TaxRate,
    /// A published version of an app's operations.
    OperationVersion,
    /// A webhook received from a payment provider.
    ReceivedWebhook,
    /// An endpoint of outbound webhooks.
    WebhookEndpoint,
    /// The delivery of an event to an endpoint.
    WebhookDelivery,
    /// A picture of the shop.
    Media,
    /// A group of synonyms of the search.
    SearchSynonymGroup,
    /// The pinned products of a search text.
    SearchPin,
    /// The ranking of search results.
    SearchRanking,
}

impl NodeType {
    const ALL: [Self; 30] = [
        Self::Category,
        Self::Product,
        Self::Variant,
        Self::Location,
        Self::StockMovement,
        Self::CartLine,
        Self::Order,
        Self::OrderHistoryEntry,
        Self::OrderLine,
        Self::Fulfillment,
        Self::Payment,
        Self::Refund,
        Self::Account,
        Self::Customer,
        Self::Address,
        Self::Session,
        Self::ApiKey,
        Self::AuditEntry,
        Self::Job,
        Self::Notification,
        Self::ShippingMethod,
        Self::TaxRate,
        Self::OperationVersion,
        Self::ReceivedWebhook,
        Self::WebhookEndpoint,
        Self::WebhookDelivery,
        Self::Media,
        Self::SearchSynonymGroup,
        Self::SearchPin,
        Self::SearchRanking,
    ];

    /// Returns the node type with the given schema type name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|node_type| node_type.name() == name)
    }

    /// Returns the type's name in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category => "Category",
            Self::Product => "Product",
            Self::Variant => "ProductVariant",
            Self::Location => "Location",
            Self::StockMovement => "StockMovement",
            Self::CartLine => "CartLine",
            Self::Order => "Order",
            Self::OrderHistoryEntry => "OrderHistoryEntry",
            Self::OrderLine => "OrderLine",
            Self::Fulfillment => "Fulfillment",
            Self::Payment => "Payment",
            Self::Refund => "Refund",
            Self::Account => "Account",
            Self::Customer => "Customer",
            Self::Address => "Address",
            Self::Session => "Session",
            Self::ApiKey => "ApiKey",
            Self::AuditEntry => "AuditEntry",
            Self::Job => "Job",
            Self::Notification => "Notification",
            Self::ShippingMethod => "ShippingMethod",
            Self::TaxRate => "TaxRate",
            Self::OperationVersion => "OperationVersion",
            Self::ReceivedWebhook => "ReceivedWebhook",
            Self::WebhookEndpoint => "WebhookEndpoint",
            Self::WebhookDelivery => "WebhookDelivery",
            Self::Media => "Media",
            Self::SearchSynonymGroup => "SearchSynonymGroup",
            Self::SearchPin => "SearchPin",
            Self::SearchRanking => "SearchRanking",
        }
    }
}

/// A typed id as the API exposes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalId {
    /// The type of the node.
    pub node_type: NodeType,
    /// The primary key in its table.
    pub key: i64,
}

impl GlobalId {
    /// Creates the id of the row `key` of the given node type.
    #[must_use]
    pub const fn new(node_type: NodeType, key: i64) -> Self {
        Self { node_type, key }
    }

    /// Returns the encoded id.
    #[must_use]
    pub fn encode(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", self.node_type.name(), self.key))
    }

    /// Decodes an id of any node type; `field` is the input path for errors.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the text is not a valid id.
    pub fn decode(text: &str, field: &str) -> Result<Self> {
        Self::parse(text)
            .ok_or_else(|| Error::bad_input(field, "this is not a valid id; use one that the shop returned"))
    }

    /// Decodes an id of the given node type and returns its key; `field` is the input path for errors.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the text is not a valid id or is the id of another node type.
    pub fn decode_as(text: &str, node_type: NodeType, field: &str) -> Result<i64> {
        let id = Self::decode(text, field)?;
        if id.node_type == node_type {
            return Ok(id.key);
        }
        let message =
            format!("this is the id of a {}; the id of a {} is required", id.node_type.name(), node_type.name());
        Err(Error::bad_input(field, message))
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (name, key) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        let node_type = NodeType::from_name(name)?;
        let key = key.parse().ok()?;
        // Only the canonical form is accepted: "+7" and "07" are not ids of 7.
        let id = Self::new(node_type, key);
        (key > 0 && id.encode() == text).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_every_node_type_round_trips() {
        for node_type in NodeType::ALL {
            let id = GlobalId::new(node_type, 42);
            assert_eq!(GlobalId::decode(&id.encode(), "id").ok(), Some(id));
            assert_eq!(NodeType::from_name(node_type.name()), Some(node_type));
            assert_eq!(GlobalId::decode_as(&id.encode(), node_type, "id").ok(), Some(42));
        }
        assert_eq!(GlobalId::new(NodeType::Variant, 7).encode(), BASE64_URL_SAFE_NO_PAD.encode("ProductVariant:7"));
    }

    #[test]
    fn id_of_another_node_type_is_rejected_with_both_names() {
        let id = GlobalId::new(NodeType::Product, 7).encode();
        let error =
            GlobalId::decode_as(&id, NodeType::Category, "categoryId").expect_err("another kind").to_public_error();
        assert_eq!(error.field, ["categoryId"]);
        assert!(error.message.contains("Product") && error.message.contains("Category"), "{}", error.message);
    }

    #[test]
    fn id_that_is_not_canonical_is_rejected() {
        for text in ["Product:0", "Product:-1", "Product:+7", "Product:07", "Product:", "Nothing:7", "Product", ""] {
            let encoded = BASE64_URL_SAFE_NO_PAD.encode(text);
            assert!(GlobalId::decode(&encoded, "id").is_err(), "{text}");
        }
        for text in ["", "Product:7", "UHJvZHVjdDo3=", "💥"] {
            assert!(GlobalId::decode(text, "id").is_err(), "{text}");
        }
    }
}
