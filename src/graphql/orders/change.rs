//! Bringing orders further, and to their end.

use async_graphql::{Context, ID, InputObject, Object};
use rust_decimal::Decimal;

use super::{
    super::{
        context::{Scope, scope},
        guard::{Anybody, Can},
        payload::payload,
        stock::change::once,
    },
    Order,
    list::amount,
};
use crate::{
    base::{Error, GlobalId, Result, error::Code, id::Kind},
    customer::Reach,
    identity::Permission,
    infra::{Claim, Makes},
    order::{
        advance::{self, Target, check_note},
        find,
        fulfil::{self, NewParcel},
    },
    payment::{
        capture,
        end::{self, CancelRequest},
        refund::{self, RefundLine, Wanted},
    },
};

payload!(
    /// What came of a step with an order.
    OrderPayload {
        /// The order as it is now; null when nothing was done.
        order: Order
    }
);

/// So many units of a line.
#[derive(Debug, InputObject)]
pub struct OrderLineQuantityInput {
    /// The line's id.
    line_id: ID,
    /// How many.
    quantity: i64,
}

/// A parcel that goes off.
#[derive(Debug, InputObject)]
pub struct OrderFulfilInput {
    /// What is in it; everything that is still to be sent when nothing is said.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Who carries it. At most 100 characters.
    carrier: Option<String>,
    /// What the carrier knows it by. At most 100 characters.
    tracking_number: Option<String>,
    /// Where its way can be seen: an http or https address.
    tracking_url: Option<String>,
    /// The same key and input send one parcel. Make a new UUID for each parcel.
    idempotency_key: String,
}

/// Why an order ends.
#[derive(Debug, InputObject)]
pub struct OrderCancelInput {
    /// Why, for the buyer to read. At most 1000 characters.
    reason: Option<String>,
    /// The order's token. It is taken first: a caller who has signed in cancels a guest's order with it as well.
    token: Option<String>,
    /// Staff only: units that were not shipped, of an order that is not paid. The rest of the order goes on, and less is
    /// to be paid. Without lines the whole order is canceled. Units of an order that is paid are refunded instead.
    lines: Option<Vec<OrderLineQuantityInput>>,
    /// Staff only, to cancel a whole order whose parcel came back before it was paid: the shipped units that return into
    /// stock, an empty list for none. Without it an order is not canceled once something was shipped.
    restock: Option<Vec<OrderLineQuantityInput>>,
}

/// Units that the buyer does not pay for.
#[derive(Debug, InputObject)]
pub struct OrderRefundLineInput {
    /// The line's id.
    line_id: ID,
    /// How many units that were shipped, whether or not they came back.
    #[graphql(default)]
    quantity_fulfilled: i64,
    /// How many units that were not shipped: they are canceled, and their stock is free.
    #[graphql(default)]
    quantity_unfulfilled: i64,
    /// Whether the shipped units came back and can be sold again: they return into stock.
    #[graphql(default)]
    restock: bool,
}

/// Money that goes back. With neither lines nor an amount: all that is left of it.
#[derive(Debug, InputObject)]
pub struct OrderRefundInput {
    /// What for.
    lines: Option<Vec<OrderRefundLineInput>>,
    /// How much; what the lines cost when it is not said.
    amount: Option<Decimal>,
    /// Whether the cost of shipping is refunded too, beside lines. Once for each order.
    #[graphql(default)]
    shipping: bool,
    /// Why, for the buyer to read. At most 1000 characters.
    reason: Option<String>,
    /// The same key and input give money back once. Make a new UUID for each refund.
    idempotency_key: String,
}

/// Something to be written down about an order.
#[derive(Debug, InputObject)]
pub struct OrderNoteInput {
    /// At most 1000 characters.
    note: String,
    /// Whether the buyer sees it too.
    #[graphql(default)]
    public: bool,
}

/// The part of orders in the mutation root.
#[derive(Debug, Default)]
pub struct OrderMutation;

#[Object]
impl OrderMutation {
    /// Take an order on: the shop will send it.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_confirm(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let done = async {
            let target = staff(&id, expected_version)?;
            let scope = scope(ctx);
            scope.db.write_with_retry(|| async |tx| end::confirm(tx, &scope.shared.providers, target).await).await
        };
        OrderPayload::settle(done.await)
    }

    /// Send an order, or a part of it. What is in the parcel leaves the stock.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_fulfil(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "The parcel.")] input: OrderFulfilInput,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let once = once("orderFulfil", &format!("{}:{}", input.idempotency_key, *id), &input);
        let done = async {
            let target = staff(&id, expected_version)?;
            let (once, parcel) = (once?, parcel(input)?);
            scope(ctx)
                .db
                .write_with_retry(|| {
                    async |tx| {
                        if let Claim::Again(order) = tx.claim(&once, Makes::Known(target.order)).await? {
                            return find::hold(tx, order, Reach::All).await;
                        }
                        fulfil::fulfil(tx, target, parcel.clone()).await.map(|(order, _)| order)
                    }
                })
                .await
        };
        OrderPayload::settle(done.await)
    }

    /// Say that an order has arrived.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_deliver(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let done = async {
            let target = staff(&id, expected_version)?;
            scope(ctx).db.write_with_retry(|| async |tx| advance::deliver(tx, target).await).await
        };
        OrderPayload::settle(done.await)
    }

    /// Cancels an order: buyers one of which nothing was shipped; staff also one whose parcel came back before it was
    /// paid, or units of an unpaid order that were not shipped. Reserved stock is free, captured money is refunded, an
    /// authorization is voided.
    #[graphql(guard = "Anybody")]
    async fn order_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "What is to be said.")] input: Option<OrderCancelInput>,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let scope = scope(ctx);
        let done = async {
            let (request, token) = cancel_request(scope, input)?;
            let target = buyer(scope, &id, (expected_version, token.as_deref())).await?;
            let order = scope.db.write_with_retry(|| async |tx| end::cancel(tx, target, request.clone()).await).await?;
            Ok::<Order, Error>(if token.is_some_and(|token| order.has_token(&token)) {
                Order::with_token(order)
            } else {
                order.into()
            })
        };
        OrderPayload::settle(done.await)
    }

    /// Take the money that was promised for an order: from its provider, or out of the hand that held it out.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_capture(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let scope = scope(ctx);
        let done = async { capture::capture(&scope.db, &scope.shared.providers, staff(&id, expected_version)?).await };
        OrderPayload::settle(done.await)
    }

    /// Give money back: all that is left, for lines, or an amount.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_refund(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "How much, and what for.")] input: OrderRefundInput,
        #[graphql(desc = "The version you know; nothing is done when others were faster.")] expected_version: Option<
            i32,
        >,
    ) -> Result<OrderPayload> {
        let scope = scope(ctx);
        let once = once("orderRefund", &format!("{}:{}", input.idempotency_key, *id), &input);
        let done = async {
            let target = staff(&id, expected_version)?;
            let (once, wanted) = (once?, wanted(scope, input)?);
            let made = scope
                .db
                .write_with_retry(|| {
                    async |tx| {
                        if let Claim::Again(_) = tx.claim(&once, Makes::Known(target.order)).await? {
                            return Ok(None);
                        }
                        let order = advance::open(tx, target).await?;
                        refund::wanted(tx, order, wanted.clone()).await.map(|(_, refund)| refund)
                    }
                })
                .await;
            if let Some(refund) = made? {
                // Now, where it can be; else the job that was stored with it goes on.
                refund::pay_back(&scope.db, &scope.shared.providers, refund).await?;
            }
            Order::own(scope, target.order).await
        };
        OrderPayload::settle(done.await)
    }

    /// Asks the provider again for a refund that it refused: the same amount, for the same lines.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn refund_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refund's id.")] id: ID,
    ) -> Result<OrderPayload> {
        let scope = scope(ctx);
        let done = async {
            let refund = GlobalId::key(&id, Kind::Refund, "id")?;
            let order = scope.db.write_with_retry(|| async |tx| refund::retry(tx, refund).await).await?;
            refund::pay_back(&scope.db, &scope.shared.providers, refund).await?;
            Order::own(scope, order.id).await
        };
        OrderPayload::settle(done.await)
    }

    /// Write something into an order's history.
    #[graphql(guard = "Can(Permission::OrderWrite)")]
    async fn order_note_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "What is to be written down.")] input: OrderNoteInput,
    ) -> Result<OrderPayload> {
        let OrderNoteInput { note, public } = input;
        let done = async {
            let target = staff(&id, None)?;
            scope(ctx).db.write_with_retry(|| async |tx| advance::note(tx, target, (&note, public)).await).await
        };
        OrderPayload::settle(done.await)
    }
}

fn staff(id: &ID, expected: Option<i32>) -> Result<Target> {
    Ok(Target { order: GlobalId::key(id, Kind::Order, "id")?, reach: Reach::All, expected })
}

/// Returns the order of a caller who may cancel it. A token that fits is enough, signed in or not; without one, staff
/// reach every order and customers their own.
async fn buyer(scope: &Scope, id: &ID, (expected, token): (Option<i32>, Option<&str>)) -> Result<Target> {
    let order = GlobalId::key(id, Kind::Order, "id")?;
    if let Some(token) = token {
        let found = find::by_key(&scope.db, &[order], Reach::All).await?.remove(&order);
        if found.is_some_and(|found| found.has_token(token)) {
            return Ok(Target { order, reach: Reach::All, expected });
        }
    }
    let missing = || Error::user(Code::NotFound, "id", "there is no such order; a guest gives its token too");
    let reach = Reach::of(scope.caller, Permission::OrderWrite).ok_or_else(missing)?;
    Ok(Target { order, reach, expected })
}

fn parcel(input: OrderFulfilInput) -> Result<NewParcel> {
    let OrderFulfilInput { lines, carrier, tracking_number, tracking_url, idempotency_key: _ } = input;
    let lines = lines.map(|lines| quantities(lines, "input.lines")).transpose()?;
    let tracking_url = word(tracking_url, "input.trackingUrl", 2000)?;
    if tracking_url.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        return Err(Error::bad_input("input.trackingUrl", "this is no address of the web; write https://…"));
    }
    Ok(NewParcel {
        lines,
        carrier: word(carrier, "input.carrier", 100)?,
        tracking_number: word(tracking_number, "input.trackingNumber", 100)?,
        tracking_url,
    })
}

fn quantities(lines: Vec<OrderLineQuantityInput>, field: &str) -> Result<Vec<(i64, i64)>> {
    let line = |(at, line): (usize, OrderLineQuantityInput)| {
        let key = GlobalId::key(&line.line_id, Kind::OrderLine, &format!("{field}.{at}.lineId"))?;
        Ok::<_, Error>((key, line.quantity))
    };
    lines.into_iter().enumerate().map(line).collect()
}

fn cancel_request(scope: &Scope, input: Option<OrderCancelInput>) -> Result<(CancelRequest, Option<String>)> {
    let is_staff = scope.caller.permissions().has(Permission::OrderWrite);
    let Some(input) = input else { return Ok((CancelRequest { is_staff, ..CancelRequest::default() }, None)) };
    let OrderCancelInput { reason, token, lines, restock } = input;
    let reason = reason.map(|reason| check_note(&reason, "input.reason")).transpose()?;
    let request = CancelRequest {
        reason: reason.filter(|reason| !reason.is_empty()),
        lines: lines.map(|lines| quantities(lines, "input.lines")).transpose()?,
        restock: restock.map(|restock| quantities(restock, "input.restock")).transpose()?,
        is_staff,
    };
    Ok((request, token))
}

/// One line of text of a length; an empty one is none.
fn word(said: Option<String>, field: &str, limit: usize) -> Result<Option<String>> {
    let said = said.map(|said| said.trim().to_owned()).filter(|said| !said.is_empty());
    if said.as_ref().is_some_and(|said| said.chars().count() > limit || said.chars().any(char::is_control)) {
        return Err(Error::bad_input(field, format!("at most {limit} characters on one line")));
    }
    Ok(said)
}

fn wanted(scope: &Scope, input: OrderRefundInput) -> Result<Wanted> {
    let OrderRefundInput { lines, amount: wanted, shipping, reason, idempotency_key: _ } = input;
    let line = |(at, line): (usize, OrderRefundLineInput)| {
        let OrderRefundLineInput { line_id, quantity_fulfilled, quantity_unfulfilled, restock } = line;
        let line = GlobalId::key(&line_id, Kind::OrderLine, &format!("input.lines.{at}.lineId"))?;
        Ok::<_, Error>(RefundLine { line, fulfilled: quantity_fulfilled, unfulfilled: quantity_unfulfilled, restock })
    };
    let reason = reason.map(|reason| check_note(&reason, "input.reason")).transpose()?;
    Ok(Wanted {
        lines: lines.map(|lines| lines.into_iter().enumerate().map(line).collect::<Result<_>>()).transpose()?,
        amount: amount(scope, wanted, "input.amount")?,
        shipping,
        reason: reason.filter(|reason| !reason.is_empty()),
    })
}
