//! Order mutations: status changes, fulfillments, refunds and notes.

mod requests;

use async_graphql::{Context, ID, Object};

use super::{
    super::{
        context::{RequestContext, request_context},
        guard::{Public, RequirePermission},
        idempotency::{parse_idempotency_key, write_once},
        input::parse_target,
        payload::payload,
    },
    Order,
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType},
    customer::OwnerScope,
    identity::Permission,
    infra::Tx,
    order::{
        fulfillment, queries,
        transition::{self, OrderTarget},
    },
    payment::{cancellation, capture, refund},
};

use requests::{
    OrderCancelInput, OrderFulfilInput, OrderNoteInput, OrderRefundInput, parse_cancel_request, parse_fulfillment,
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
    ) -> Result<OrderPayload> {
        let result = async {
            let target = parse_staff_target(&id, expected_version)?;
            let context = request_context(ctx);
            context
                .db
                .write_with_retry(|| {
                    async |tx| cancellation::confirm_order(tx, &context.app_state.payment_providers, target).await
                })
                .await
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
            let (idempotency_key, fulfillment) = (idempotency_key?, parse_fulfillment(input)?);
            let context = request_context(ctx);
            let work = || async |tx: &Tx| fulfillment::fulfill_order(tx, target, fulfillment.clone()).await;
            match write_once(&context.db, &idempotency_key, target.id, work).await? {
                Some((order, _)) => Ok(order.into()),
                None => Order::load_own(context, target.id).await,
            }
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
            request_context(ctx).db.write_with_retry(|| async |tx| transition::deliver_order(tx, target).await).await
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
            let (request, token) = parse_cancel_request(context, input)?;
            let target = authorize_buyer(context, &id, expected_version, token.as_deref()).await?;
            let order = context
                .db
                .write_with_retry(|| async |tx| cancellation::cancel_order(tx, target, request.clone()).await)
                .await?;
            Ok::<Order, Error>(if token.is_some_and(|token| order.has_token(&token)) {
                Order::with_token(order)
            } else {
                order.into()
            })
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
            capture::capture_payment(
                &context.db,
                &context.app_state.payment_providers,
                parse_staff_target(&id, expected_version)?,
            )
            .await
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
            let (idempotency_key, request) = (idempotency_key?, parse_refund_request(context, input)?);
            let work = || {
                async |tx: &Tx| {
                    let order = transition::lock_target_order(tx, target).await?;
                    refund::refund_order(tx, order, request.clone()).await
                }
            };
            let created_refund = write_once(&context.db, &idempotency_key, target.id, work).await?;
            if let Some((_, Some(refund))) = created_refund {
                // Executes the refund immediately if possible; otherwise the job stored with it retries.
                refund::execute_refund(&context.db, &context.app_state.payment_providers, refund).await?;
            }
            Order::load_own(context, target.id).await
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
            let order = context.db.write_with_retry(|| async |tx| refund::retry_refund(tx, refund_id).await).await?;
            refund::execute_refund(&context.db, &context.app_state.payment_providers, refund_id).await?;
            Order::load_own(context, order.id).await
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
            request_context(ctx)
                .db
                .write_with_retry(|| async |tx| transition::add_order_note(tx, target, &note, public).await)
                .await
        };
        OrderPayload::from_result(result.await)
    }
}

fn parse_staff_target(id: &ID, expected_version: Option<i32>) -> Result<OrderTarget> {
    parse_target(id, NodeType::Order, OwnerScope::All, expected_version)
}

/// Returns the target order if the caller may cancel it. A matching token is sufficient, logged in or not; without one,
/// staff can access every order and customers their own.
async fn authorize_buyer(
    context: &RequestContext,
    id: &ID,
    expected_version: Option<i32>,
    token: Option<&str>,
) -> Result<OrderTarget> {
    let target = parse_staff_target(id, expected_version)?;
    if let Some(token) = token {
        let order = queries::find_orders_by_ids(&context.db, &[target.id], OwnerScope::All).await?.remove(&target.id);
        if order.is_some_and(|order| order.has_token(token)) {
            return Ok(target);
        }
    }
    let not_found =
        || Error::user(PublicErrorCode::NotFound, "id", "there is no such order; a guest gives its token too");
    let owner_scope = OwnerScope::for_caller(context.caller, Permission::OrderWrite).ok_or_else(not_found)?;
    Ok(OrderTarget { scope: owner_scope, ..target })
}
