//! Payments of orders.

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Union};
use chrono::{DateTime, Utc};

use crate::{
    base::{GlobalId, global_id::NodeType},
    graphql::{batched::Batched, context::request_context, guard::RequirePermission, scalars::MoneyObject},
    identity::Permission,
    payment::{self, PaymentState},
};

/// Status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "PaymentStatus")]
pub enum OrderPaymentState {
    /// Awaiting the provider's result.
    Pending,
    /// Awaiting the buyer; see `action`.
    ActionRequired,
    /// The amount is authorized and not yet captured.
    Authorized,
    /// The amount was captured.
    Captured,
    /// Part of the captured amount was refunded.
    PartiallyRefunded,
    /// The captured amount was refunded.
    Refunded,
    /// The payment was declined. The order can be paid with another payment until it expires.
    Failed,
    /// The order expired before the payment arrived.
    Expired,
    /// The payment was voided: the order was canceled, or another payment replaced it.
    Voided,
}

impl From<&payment::Payment> for OrderPaymentState {
    fn from(payment: &payment::Payment) -> Self {
        match payment.status {
            PaymentState::Pending => Self::Pending,
            PaymentState::ActionRequired => Self::ActionRequired,
            PaymentState::Authorized => Self::Authorized,
            PaymentState::Captured if payment.refunded == 0 => Self::Captured,
            PaymentState::Captured if payment.refunded < payment.captured => Self::PartiallyRefunded,
            PaymentState::Captured => Self::Refunded,
            PaymentState::Failed => Self::Failed,
            PaymentState::Expired => Self::Expired,
            PaymentState::Voided => Self::Voided,
        }
    }
}

/// Why a payment was declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "payment::DeclineCode", name = "PaymentDeclineCode")]
pub enum PaymentDeclineCode {
    /// The account has not enough money.
    InsufficientFunds,
    /// The buyer canceled the payment.
    CanceledByBuyer,
    /// The buyer did not respond in time.
    NoResponse,
    /// The PIN was wrong, or the authentication failed.
    AuthenticationFailed,
    /// The phone number, card or amount is not valid for the payment method.
    InvalidDetails,
    /// The provider declined for another reason.
    Declined,
}

/// Open a page of the provider, where the buyer continues the payment.
#[derive(Debug, Clone, SimpleObject)]
pub struct RedirectAction {
    /// URL of the page.
    url: String,
}

/// Confirm the payment with the provider's client library.
#[derive(Debug, Clone, SimpleObject)]
pub struct ClientSecretAction {
    /// Secret of this payment for the client library. Must not be logged.
    client_secret: String,
    /// Publishable key of the shop for the client library.
    publishable_key: String,
}

/// Ask the buyer to confirm the prompt on the phone.
#[derive(Debug, Clone, SimpleObject)]
pub struct ConfirmOnPhoneAction {
    /// Phone number that received the prompt (E.164).
    phone: String,
}

/// What the buyer must do to continue a payment.
#[derive(Debug, Clone, Union)]
#[graphql(name = "PaymentAction")]
pub enum PaymentActionUnion {
    /// Open a page.
    Redirect(RedirectAction),
    /// Confirm with the client library.
    ClientSecret(ClientSecretAction),
    /// Confirm on the phone.
    ConfirmOnPhone(ConfirmOnPhoneAction),
}

impl From<payment::PaymentAction> for PaymentActionUnion {
    fn from(action: payment::PaymentAction) -> Self {
        match action {
            payment::PaymentAction::Redirect { url } => Self::Redirect(RedirectAction { url }),
            payment::PaymentAction::ClientSecret { client_secret, publishable_key } => {
                Self::ClientSecret(ClientSecretAction { client_secret, publishable_key })
            }
            payment::PaymentAction::ConfirmOnPhone { phone } => Self::ConfirmOnPhone(ConfirmOnPhoneAction { phone }),
        }
    }
}

/// Recommended interval of requests for the result of a pending payment, in seconds.
const POLL_INTERVAL_SECONDS: i32 = 3;

/// Payment of an order.
#[derive(Debug, Clone)]
pub struct OrderPayment(pub payment::Payment);

/// Payment of an order.
#[Object(name = "Payment")]
impl OrderPayment {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Payment, self.0.id).encode().into()
    }

    /// ID of the payment method.
    async fn payment_method_id(&self) -> &str {
        &self.0.method
    }

    /// Payment provider, such as `manual`, `mpesa` or `stripe`.
    async fn provider(&self) -> &str {
        &self.0.provider
    }

    /// Reference of the payment at the provider. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// Status of the payment.
    async fn status(&self) -> OrderPaymentState {
        (&self.0).into()
    }

    /// Amount due.
    async fn amount(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.amount)
    }

    /// Captured amount.
    async fn captured_amount(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.captured)
    }

    /// Refunded amount.
    async fn refunded_amount(&self, ctx: &Context<'_>) -> Batched<MoneyObject> {
        request_context(ctx).money(self.0.refunded)
    }

    /// What the buyer must do to continue the payment; null if nothing. Only for whom the order belongs to.
    async fn action(&self, ctx: &Context<'_>) -> Option<PaymentActionUnion> {
        // Staff and API keys may read the order, but its secrets are the buyer's.
        let is_buyer = !request_context(ctx).caller.has_permissions();
        self.0.action.clone().filter(|_| is_buyer).map(PaymentActionUnion::from)
    }

    /// Recommended delay before the next request for the result, in seconds; null if the result is known.
    /// `orderUpdated` reports it without such requests.
    async fn poll_after_seconds(&self) -> Option<i32> {
        self.0.status.is_pending().then_some(POLL_INTERVAL_SECONDS)
    }

    /// Classification of the decline; null unless the payment was declined.
    async fn decline_code(&self) -> Option<PaymentDeclineCode> {
        self.0.decline_code.map(PaymentDeclineCode::from)
    }

    /// Why the payment was declined; null otherwise.
    async fn error(&self, ctx: &Context<'_>) -> Option<&str> {
        let is_staff = request_context(ctx).caller.has_permissions();
        self.0.error.as_deref().filter(|_| is_staff || self.0.decline_code.is_some())
    }

    /// Whether the order was paid with another payment already; the amount is refunded.
    async fn is_surplus(&self) -> bool {
        self.0.is_surplus
    }

    /// Time of the last reconciliation with the provider; null if there was none. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn checked_at(&self) -> Option<DateTime<Utc>> {
        self.0.checked_at
    }

    /// Creation time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
