//! Order mutations: status changes, fulfillments, refunds and notes.

mod requests;

use async_graphql::{Context, ID, InputObject, Object};
use rust_decimal::Decimal;

use super::{
    super::{
        context::request_context,
        guard::{Public, RequirePermission},
        payload::payload,
        stock::mutations::parse_idempotency_key,
    },
    Order,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    customer::OwnerScope,
    identity::Permission,
    order::transition::{self, OrderTarget},
    sales,
};

use requests::{parse_cancel_request, parse_fulfillment, parse_refund_request};

payload!(
    /// Payload of the order mutations.
    OrderPayload {
        /// Order after the change; null if nothing was changed.
        order: Order
    }
);

/// Order line and quantity.
#[derive(Debug, InputObject)]
pub struct OrderLineQuantityInput {
    /// ID of the order line.
    line_id: ID,
    /// Quantity.
    quantity: i64,
}

/// Input of `orderFulfil`.
#[derive(Debug, InputObject)]
pub struct OrderFulfilInput {
    /// Lines to ship; defaults to all unshipped units.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Carrier, at most 100 characters.
    carrier: Option<String>,
    /// Tracking number, at most 100 characters.
    tracking_number: Option<String>,
    /// Tracking URL (http or https).
    tracking_url: Option<String>,
    /// Idempotency key: repeated requests with the same key and input create one fulfillment. Use a new UUID for each
    /// one.
    idempotency_key: String,
}

/// Input of `orderCancel`.
#[derive(Debug, Default, InputObject)]
pub struct OrderCancelInput {
    /// Reason, visible to the buyer; at most 1000 characters.
    reason: Option<String>,
    /// Guest access token of the order. Checked before the caller's login, so it also authorizes a logged-in caller.
    token: Option<String>,
    /// Staff only: unshipped units of an unpaid order to cancel; the total is reduced and the order stays open. Without
    /// lines the whole order is canceled. Units of a paid order are refunded instead.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Staff only: shipped units that return to stock when a whole unpaid order is canceled after its shipment was
    /// returned; an empty list for none. Without it a shipped order cannot be canceled.
    restock: Option<Vec<OrderLineQuantityInput>>,
}

/// Units of an order line to refund.
#[derive(Debug, InputObject)]
pub struct OrderRefundLineInput {
    /// ID of the order line.
    line_id: ID,
    /// Number of shipped units, whether or not they were returned.
    #[graphql(default)]
    quantity_fulfilled: i64,
    /// Number of unshipped units: they are canceled and their stock reservation is released.
    #[graphql(default)]
    quantity_unfulfilled: i64,
    /// Whether the shipped units return to stock.
    #[graphql(default)]
    restock: bool,
}

/// Input of `orderRefund`. Without lines and amount the remaining captured amount is refunded.
#[derive(Debug, InputObject)]
pub struct OrderRefundInput {
    /// Lines to refund.
    lines: Option<Vec<OrderRefundLineInput>>,
    /// Amount to refund; defaults to the price of the lines.
    amount: Option<Decimal>,
    /// Whether the shipping cost is refunded with the lines. At most once per order.
    #[graphql(default)]
    shipping: bool,
    /// Reason, visible to the buyer; at most 1000 characters.
    reason: Option<String>,
    /// Idempotency key: repeated requests with the same key and input create one refund. Use a new UUID for each
    /// refund.
    idempotency_key: String,
}

/// Input of `orderNoteAdd`.
#[derive(Debug, InputObject)]
pub struct OrderNoteInput {
    /// Text of the note, at most 1000 characters.
    note: String,
    /// Whether the note is visible to the buyer.
    #[graphql(default)]
    public: bool,
}

/// Order fields of the mutation root.
#[derive(Debug, Default)]
pub struct OrderMutation;

#[Object]
impl OrderMutation {
    /// Confirms a pending order.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_confirm(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            sales::confirm_order(&request_context(ctx).sales(), target).await
        };
        OrderPayload::from_result(result.await)
    }

    /// Ships all or some lines of an order and reduces stock.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_fulfil(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Fulfillment to create.")] input: OrderFulfilInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let idempotency_key =
            parse_idempotency_key("orderFulfil", &format!("{}:{}", input.idempotency_key, *id), &input);
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            let request = parse_fulfillment(input, idempotency_key?)?;
            sales::fulfill_order(&request_context(ctx).sales(), target, request).await
        };
        OrderPayload::from_result(result.await)
    }

    /// Marks an order as delivered.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_deliver(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            transition::deliver_order(&request_context(ctx).db, target).await
        };
        OrderPayload::from_result(result.await)
    }

    /// Cancels an unshipped order, releases its stock, and voids or refunds its payment. Staff can also cancel an
    /// unpaid order whose shipment was returned, or unshipped units of an unpaid order.
    #[graphql(guard = "Public")]
    async fn order_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Reason, lines and guest token.")] input: Option<OrderCancelInput>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let context = request_context(ctx);
        let result = async {
            let request = parse_cancel_request(&id, input, expected_version)?;
            let token = request.token.clone();
            let order = sales::cancel_order(&context.sales(), request).await?;
            let has_token = token.is_some_and(|token| order.has_token(&token));
            Ok::<Order, Error>(if has_token { Order::with_token(order) } else { order.into() })
        };
        OrderPayload::from_result(result.await)
    }

    /// Captures the authorized payment of an order or records cash.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_capture(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let context = request_context(ctx);
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            sales::capture_payment(&context.sales(), target).await
        };
        OrderPayload::from_result(result.await)
    }

    /// Refunds a payment in full, by lines or by amount.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_refund(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Lines or amount to refund.")] input: OrderRefundInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<OrderPayload> {
        let context = request_context(ctx);
        let idempotency_key =
            parse_idempotency_key("orderRefund", &format!("{}:{}", input.idempotency_key, *id), &input);
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            let request = parse_refund_request(context, input, idempotency_key?)?;
            sales::refund_order(&context.sales(), target, request).await.map(Order::with_token)
        };
        OrderPayload::from_result(result.await)
    }

    /// Retries a refund that the provider declined, with the same amount and lines.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn refund_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the refund.")] id: ID,
    ) -> Result<OrderPayload> {
        let context = request_context(ctx);
        let result = async {
            let refund_id = GlobalId::decode_as(&id, NodeType::Refund, "id")?;
            sales::retry_refund(&context.sales(), refund_id).await.map(Order::with_token)
        };
        OrderPayload::from_result(result.await)
    }

    /// Adds a note to the order history.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_note_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Note to add.")] input: OrderNoteInput,
    ) -> Result<OrderPayload> {
        let OrderNoteInput { note, public } = input;
        let result = async {
            let target = parse_staff_target(&id, None)?;
            transition::add_order_note(&request_context(ctx).db, target, &note, public).await
        };
        OrderPayload::from_result(result.await)
    }
}

fn parse_staff_target(id: &ID, expected_version: Option<i32>) -> Result<OrderTarget> {
    Ok(OrderTarget {
        order_id: GlobalId::decode_as(id, NodeType::Order, "id")?,
        owner_scope: OwnerScope::All,
        expected_version,
    })
}
