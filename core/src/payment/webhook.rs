//! Received webhooks of payment providers: what a provider verifies and returns.

/// A received webhook.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// Body as received; signatures cover these bytes.
    pub body: &'a [u8],
    /// Value of the provider's signature header, if present.
    pub signature: Option<&'a str>,
    /// Last segment of the URL after the provider's name, if present.
    pub path_token: Option<&'a str>,
    /// Current time (seconds since 1970), for time windows.
    pub unix_time: i64,
}

/// A verified webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The provider's id of the event, the same for each delivery of it.
    pub event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// What the event is about.
    pub subject: WebhookSubject,
}

/// Subject of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, sea_orm::FromJsonQueryResult)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSubject {
    /// A payment, by its id.
    Payment(i64),
    /// A payment, by the provider's reference.
    PaymentReference(String),
    /// A refund, by its id.
    Refund(i64),
    /// A dispute of a payment, by the provider's payment reference. It is recorded in the order's history.
    Dispute {
        /// The provider's payment reference.
        payment_reference: String,
        /// Text of the history entry.
        note: String,
    },
    /// Nothing that the shop acts upon.
    Other,
}

/// Why a received webhook is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookRejection {
    /// The provider sends no webhooks.
    Unsupported,
    /// The signature or the path token is missing or wrong.
    InvalidSignature,
    /// The signature is older than the allowed time window.
    Expired,
    /// The signed body is malformed.
    InvalidBody,
}
