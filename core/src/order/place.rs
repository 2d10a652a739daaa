//! Order placement: copies product data and prices into the order and reserves stock, all or nothing.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait,
    sea_query::OnConflict,
};
use serde_json::Value;

use super::{
    FulfillmentStatus, OrderPlaced, OrderRow, PaymentStatus, Status,
    entity::{order_line, orders},
    history,
    history::OrderHistoryEvent,
    number, queries,
};
use crate::{
    base::{
        Error, Result,
        error::{ErrorFacts, PublicError, PublicErrorCode},
    },
    identity::random_token,
    infra::{Batch, Tx, telemetry::Measurement},
    inventory::reservation::{self, ReservationRequest},
};

/// Maximum number of attempts to find an unused order number.
const MAX_NUMBER_ATTEMPTS: usize = 5;

/// Input of an order placement.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct NewOrder {
    pub id: i64,
    pub account_id: Option<i64>,
    pub cart_id: Option<i64>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub customer_name_normalized: String,
    pub language: crate::base::LanguageCode,
    pub currency: String,
    pub list_subtotal: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub tax_excluded_total: i64,
    pub total: i64,
    pub shipping_method_id: Option<i64>,
    pub shipping_method_name: Option<String>,
    pub shipping_tax_name: Option<String>,
    pub shipping_tax_rate_bps: i32,
    pub shipping_tax_included: bool,
    pub shipping_address: Option<Value>,
    pub billing_address: Option<Value>,
    pub note: Option<String>,
    /// Initial payment status.
    pub payment_status: PaymentStatus,
    /// Time at which the unpaid order expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    pub lines: Vec<NewOrderLine>,
}

/// A line of a [`NewOrder`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are explained in the migration and in the schema")]
pub struct NewOrderLine {
    /// Path of the line in the caller's input, for user errors: `lines.2`.
    pub field_path: String,
    pub variant_id: i64,
    pub product_id: i64,
    pub sku: String,
    pub name: String,
    pub variant_name: String,
    pub image: Option<String>,
    pub quantity: i64,
    pub unit_list_price: i64,
    pub unit_price: i64,
    pub discount: i64,
    pub tax_name: Option<String>,
    pub tax_rate_bps: i32,
    pub tax_included: bool,
    pub tax: i64,
    pub tax_excluded_total: i64,
    pub total: i64,
    pub weight_grams: Option<i64>,
    pub track_stock: bool,
    pub attributes: Value,
    pub allow_backorder: bool,
}

/// Inserts an order with its lines, history and event, and reserves stock. Stock rows are locked last and therefore
/// briefly, because concurrent orders contend for them.
///
/// # Errors
/// Returns `InsufficientStock` for each line whose stock is too low, with the available quantity.
pub async fn place_order(tx: &Tx, new_order: &NewOrder, mut batch: Batch) -> Result<OrderRow> {
    let order = insert_order(tx, new_order).await?;
    let mut history_insert = tx.sql();
    let note = history::OrderNote::public(None);
    history_insert.insert_models(&[history::new_history_row(tx, new_order.id, OrderHistoryEvent::Placed, note)]);
    batch.add(history_insert);
    batch.add(tx.emit_statement(&[OrderPlaced { order: new_order.id, account: new_order.account_id }])?);
    let line_ids = insert_order_lines(tx, new_order, batch).await?;
    let to_request = |(line, line_id): (&NewOrderLine, &i64)| {
        line.track_stock.then_some(ReservationRequest {
            order_line_id: *line_id,
            variant_id: line.variant_id,
            quantity: line.quantity,
            allow_backorder: line.allow_backorder,
        })
    };
    let requests: Vec<_> = new_order.lines.iter().zip(&line_ids).filter_map(to_request).collect();
    let shortage = reservation::reserve_stock(tx, &requests, new_order.expires_at).await?;
    let to_user_error = |shortage: &reservation::Shortage| {
        let line = line_ids
            .iter()
            .position(|line_id| *line_id == shortage.order_line_id)
            .and_then(|index| new_order.lines.get(index))?;
        Some(insufficient_stock_error(line, shortage.available))
    };
    Error::fail_if_any(shortage.iter().filter_map(to_user_error).collect())?;
    tx.measure_on_commit(|| Measurement::OrderPlaced { total: order.total, currency: order.currency.clone() });
    Ok(order)
}

fn insufficient_stock_error(line: &NewOrderLine, available: i64) -> PublicError {
    let message = match available {
        0 => format!("{} ({}) is sold out", line.name, line.sku),
        available => format!("of {} ({}) only {available} are left, not {}", line.name, line.sku, line.quantity),
    };
    let facts = ErrorFacts { variant_id: Some(line.variant_id), available: Some(available), ..ErrorFacts::default() };
    PublicError::new(PublicErrorCode::InsufficientStock, &line.field_path, message).with_facts(facts)
}

/// Inserts an order under an unused number.
async fn insert_order(tx: &Tx, new_order: &NewOrder) -> Result<OrderRow> {
    let token = random_token::generate_token()?;
    for _ in 0..MAX_NUMBER_ATTEMPTS {
        let row = orders::ActiveModel {
            number: Set(number::generate_order_number()?),
            guest_access_token: Set(token.clone()),
            ..new_order_row(tx, new_order)
        };
        let unless_taken = OnConflict::column(orders::Column::Number).do_nothing().to_owned();
        let inserted = orders::Entity::insert(row).on_conflict(unless_taken).exec_with_returning_many(tx).await?;
        if let Some(order) = inserted.into_iter().next() {
            return Ok(order);
        }
    }
    Err(Error::internal("placing an order", "every number that was tried is taken"))
}

/// Returns the row of a new order, without its number and its access token.
fn new_order_row(tx: &Tx, new_order: &NewOrder) -> orders::ActiveModel {
    orders::ActiveModel {
        id: Set(new_order.id),
        number: NotSet,
        guest_access_token: NotSet,
        account_id: Set(new_order.account_id),
        cart_id: Set(new_order.cart_id),
        email: Set(new_order.email.clone()),
        phone: Set(new_order.phone.clone()),
        customer_name_normalized: Set(new_order.customer_name_normalized.clone()),
        language: Set(new_order.language),
        status: Set(Status::Pending),
        payment_status: Set(new_order.payment_status),
        fulfillment_status: Set(FulfillmentStatus::Unfulfilled),
        currency: Set(new_order.currency.clone()),
        list_subtotal: Set(new_order.list_subtotal),
        discount: Set(new_order.discount),
        shipping: Set(new_order.shipping),
        tax: Set(new_order.tax),
        tax_excluded_total: Set(new_order.tax_excluded_total),
        total: Set(new_order.total),
        shipping_method_id: Set(new_order.shipping_method_id),
        shipping_method_name: Set(new_order.shipping_method_name.clone()),
        shipping_tax_name: Set(new_order.shipping_tax_name.clone()),
        shipping_tax_rate_bps: Set(new_order.shipping_tax_rate_bps),
        shipping_tax_included: Set(new_order.shipping_tax_included),
        shipping_address: Set(new_order.shipping_address.clone()),
        billing_address: Set(new_order.billing_address.clone()),
        note: Set(new_order.note.clone()),
        version: Set(1),
        expires_at: Set(new_order.expires_at),
        placed_at: Set(tx.now()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        anonymized_at: NotSet,
    }
}

/// Inserts the lines after the batch's statements. Returns their ids in line order.
async fn insert_order_lines(tx: &Tx, new_order: &NewOrder, batch: Batch) -> Result<Vec<i64>> {
    let to_row = |(position, line): (i32, &NewOrderLine)| order_line::ActiveModel {
        id: NotSet,
        order_id: Set(new_order.id),
        position: Set(position),
        variant_id: Set(Some(line.variant_id)),
        product_id: Set(Some(line.product_id)),
        sku: Set(line.sku.clone()),
        name: Set(line.name.clone()),
        variant_name: Set(line.variant_name.clone()),
        image: Set(line.image.clone()),
        quantity: Set(line.quantity),
        unit_list_price: Set(line.unit_list_price),
        unit_price: Set(line.unit_price),
        discount: Set(line.discount),
        tax_name: Set(line.tax_name.clone()),
        tax_rate_bps: Set(line.tax_rate_bps),
        tax_included: Set(line.tax_included),
        tax: Set(line.tax),
        tax_excluded_total: Set(line.tax_excluded_total),
        total: Set(line.total),
        weight_grams: Set(line.weight_grams),
        track_stock: Set(line.track_stock),
        attributes: Set(line.attributes.clone()),
        quantity_fulfilled: Set(0),
        quantity_refunded: Set(0),
        quantity_canceled: Set(0),
        quantity_returned: NotSet,
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    let lines: Vec<_> = (0..).zip(&new_order.lines).map(to_row).collect();
    queries::insert_lines(tx, batch, &lines).await
}
