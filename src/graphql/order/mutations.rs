//! Order mutations: status changes, fulfillments, refunds and notes.

mod requests;

use async_graphql::{Context, ID, Object};

use super::Order;
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    customer::OwnerScope,
    graphql::{
        context::request_context,
        guard::{Public, RequirePermission},
        idempotency::parse_idempotency_key,
        input::parse_target,
        payload::payload,
    },
    identity::Permission,
    order::transition::{self, OrderTarget},
    sales,
};

use requests::{
    OrderCancelInput, OrderFulfillInput, OrderNoteInput, OrderRefundInput, parse_cancel_request, parse_fulfillment,
    parse_refund_request,
};

payload!(
    /// Payload of the order mutations.
    OrderPayload {
        /// Order after the change; null if nothing was changed.
        order: Order
    }
);

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
    ) -> Result<Option<OrderPayload>> {
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            sales::confirm_order(&request_context(ctx).sales(), target).await
        };
        OrderPayload::from_result(result.await)
    }

    /// Ships all or some lines of an order and reduces stock.
    #[graphql(guard = "RequirePermission(Permission::OrderWrite)")]
    async fn order_fulfill(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Fulfillment to create.")] input: OrderFulfillInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<OrderPayload>> {
        let idempotency_key =
            parse_idempotency_key("orderFulfill", &format!("{}:{}", input.idempotency_key, *id), &input);
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
    ) -> Result<Option<OrderPayload>> {
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
    ) -> Result<Option<OrderPayload>> {
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
    ) -> Result<Option<OrderPayload>> {
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
    ) -> Result<Option<OrderPayload>> {
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
    ) -> Result<Option<OrderPayload>> {
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
    ) -> Result<Option<OrderPayload>> {
        let OrderNoteInput { note, public } = input;
        let result = async {
            let target = parse_staff_target(&id, None)?;
            transition::add_order_note(&request_context(ctx).db, target, &note, public).await
        };
        OrderPayload::from_result(result.await)
    }
}

fn parse_staff_target(id: &ID, expected_version: Option<i32>) -> Result<OrderTarget> {
    parse_target(id, NodeType::Order, OwnerScope::All, expected_version)
}
