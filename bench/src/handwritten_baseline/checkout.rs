//! Checkout of the hand-written server: the same rows in the same tables in one transaction, with a statement per row
//! type; stock is reserved last.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Acquire, PgConnection, PgPool, Row, types::Json};

/// The input of `checkoutComplete`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutInput {
    cart_id: Option<String>,
    idempotency_key: Option<String>,
    expected_total: Option<String>,
    email: Option<String>,
    shipping_address: Option<Value>,
}

/// A cart line of the input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineInput {
    variant_id: String,
    quantity: i64,
}

/// Generates a text that is unique with high probability; production code would use a CSPRNG.
fn random_text(salt: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(salt), RandomState::new().hash_one(salt))
}

/// Converts a cart to an order.
pub async fn complete_checkout(pool: &PgPool, input: &CheckoutInput) -> sqlx::Result<Option<Vec<u8>>> {
    let (Some(token), Some(idempotency_key), Some(email)) = (&input.cart_id, &input.idempotency_key, &input.email)
    else {
        return Ok(None);
    };
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let order_id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO idempotency_key (scope, key, request_hash, resource_id, created_at) VALUES ('checkoutComplete \
         anonymous', $1, $2, \
         nextval('orders_id_seq'), now()) ON CONFLICT DO NOTHING RETURNING resource_id",
    )
    .bind(idempotency_key)
    .bind(token)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(order_id) = order_id else { return Ok(None) };
    let cart_id = sqlx::query("SELECT id FROM cart WHERE token = $1 AND status = 'open' FOR UPDATE");
    let Some(cart_id) = cart_id.bind(token).fetch_optional(&mut *tx).await? else { return Ok(None) };
    let cart_id: i64 = cart_id.try_get(0)?;
    let lines = sqlx::query(
        "SELECT l.variant_id, l.quantity, v.product_id, v.sku, p.name, v.name, COALESCE(v.sale_price, v.price), v.price, v.weight_grams, \
         r.rate_bps FROM cart_line AS l JOIN variant AS v ON v.id = l.variant_id \
         JOIN product AS p ON p.id = v.product_id LEFT JOIN tax_rate AS r ON r.country_code = 'KE' AND r.category_id IS NULL \
         WHERE l.cart_id = $1 AND p.status = 'active' AND v.deleted_at IS NULL ORDER BY l.variant_id",
    )
    .bind(cart_id)
    .fetch_all(&mut *tx)
    .await?;
    let mut total = 0_i64;
    for line in &lines {
        total += line.try_get::<i64, _>(1)? * line.try_get::<i64, _>(6)?;
    }
    let amount = format!("{}.{:02}", total / 100, total % 100);
    if input.expected_total.as_deref() != Some(&amount) {
        return Ok(None);
    }
    let number =
        write_order(&mut tx, (order_id, cart_id, total), (email, input.shipping_address.as_ref()), &lines).await?;
    tx.commit().await?;
    let order_id = json!({ "number": number, "status": "PENDING", "cost": { "total": { "amount": amount } } });
    let response = json!({ "data": { "checkoutComplete": { "order": order_id, "userErrors": [] } } });
    Ok(Some(response.to_string().into_bytes()))
}

async fn write_order(
    tx: &mut PgConnection,
    (order, cart, total): (i64, i64, i64),
    (email, address): (&str, Option<&Value>),
    lines: &[sqlx::postgres::PgRow],
) -> sqlx::Result<String> {
    let number = random_text(email)[..12].to_owned();
    sqlx::query(
        "INSERT INTO orders (id, number, guest_access_token, cart_id, email, customer_name_normalized, language, \
         status, payment_status, \
         fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, shipping_address, \
         billing_address, version, placed_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'bench', 'en', \
         'pending', 'authorized', 'unfulfilled', 'KES', $6, 0, 0, 0, 0, $6, $7, $7, 1, now(), now(), now())",
    )
    .bind(order)
    .bind(&number)
    .bind(random_text(&number))
    .bind(cart)
    .bind(email)
    .bind(total)
    .bind(Json(address))
    .execute(&mut *tx)
    .await?;
    let mut reserved_lines = Vec::new();
    for (position, line) in (0_i32..).zip(lines) {
        let (variant, quantity, price): (i64, i64, i64) = (line.try_get(0)?, line.try_get(1)?, line.try_get(6)?);
        let line_id: i64 = sqlx::query_scalar(
            "INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, variant_name, quantity, \
             unit_list_price, unit_price, discount, tax_rate_bps, tax, tax_excluded_total, total, track_stock, \
             quantity_fulfilled, quantity_refunded, quantity_canceled, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 0, 0, 0, 0, $8 * $9, true, 0, 0, 0, \
             now(), now()) RETURNING id",
        )
        .bind(order)
        .bind(position)
        .bind(variant)
        .bind(line.try_get::<i64, _>(2)?)
        .bind(line.try_get::<&str, _>(3)?)
        .bind(line.try_get::<&str, _>(4)?)
        .bind(line.try_get::<&str, _>(5)?)
        .bind(quantity)
        .bind(price)
        .fetch_one(&mut *tx)
        .await?;
        reserved_lines.push((variant, line_id, quantity));
    }
    for (statement, amount) in [
        (
            "INSERT INTO order_history (order_id, event_type, actor_kind, is_public, created_at) VALUES ($1, 'placed', 'anonymous', true, now() + $2 * interval '0')",
            0,
        ),
        (
            "UPDATE cart SET status = 'ordered', order_id = $1, version = version + 1, updated_at = now() WHERE id = $2",
            cart,
        ),
        (
            "WITH p AS (INSERT INTO payment (order_id, method, provider, reference, status, amount, captured, refunded, created_at, \
          updated_at) VALUES ($1, 'cash_on_delivery', 'manual', 'order-' || $1, 'authorized', $2, 0, 0, now(), now()) RETURNING id) \
          INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
          SELECT id, 'authorize', $2, 'order-' || $1, now() FROM p",
            total,
        ),
    ] {
        sqlx::query(statement).bind(order).bind(amount).execute(&mut *tx).await?;
    }
    let event =
        "INSERT INTO outbox_event (event_type, aggregate, payload, created_at) VALUES ('OrderPlaced', $1, $2, now())";
    let (aggregate, payload) = (format!("order:{order}"), Json(json!({ "order": order })));
    sqlx::query(event).bind(aggregate).bind(payload).execute(&mut *tx).await?;
    for (variant, line_id, quantity) in reserved_lines {
        let stock_sql = "SELECT on_hand - reserved FROM inventory_level WHERE variant_id = $1 AND location_id = 1 FOR NO KEY UPDATE";
        let available: i64 = sqlx::query_scalar(stock_sql).bind(variant).fetch_one(&mut *tx).await?;
        if available < quantity {
            return Err(sqlx::Error::RowNotFound);
        }
        let reservation_sql = "INSERT INTO stock_reservation (order_line_id, location_id, variant_id, quantity, \
            created_at, updated_at) \
                    VALUES ($1, 1, $2, $3, now(), now())";
        sqlx::query(reservation_sql).bind(line_id).bind(variant).bind(quantity).execute(&mut *tx).await?;
    }
    Ok(number)
}

/// Adds a variant to a cart.
pub async fn add_cart_line(pool: &PgPool, token: &str, lines: &[LineInput]) -> sqlx::Result<Option<Vec<u8>>> {
    let Some(line) = lines.first() else { return Ok(None) };
    let Some(variant) = super::response::decode_global_id(&line.variant_id, "ProductVariant") else { return Ok(None) };
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let cart = sqlx::query("SELECT id, version FROM cart WHERE token = $1 AND status = 'open' FOR UPDATE");
    let Some(cart) = cart.bind(token).fetch_optional(&mut *tx).await? else { return Ok(None) };
    let (cart, version): (i64, i32) = (cart.try_get(0)?, cart.try_get(1)?);
    let variant_row = sqlx::query(
        "SELECT COALESCE(v.sale_price, v.price), (SELECT SUM(on_hand - reserved) FROM inventory_level AS i WHERE \
         i.variant_id = v.id)::bigint, \
         (SELECT quantity FROM cart_line AS l WHERE l.cart_id = $2 AND l.variant_id = v.id) FROM variant AS v \
         JOIN product AS p ON p.id = v.product_id WHERE v.id = $1 AND p.status = 'active' AND v.deleted_at IS NULL",
    );
    let Some(variant_row) = variant_row.bind(variant).bind(cart).fetch_optional(&mut *tx).await? else {
        return Ok(None);
    };
    let (price, available, existing_quantity): (i64, i64, Option<i64>) =
        (variant_row.try_get(0)?, variant_row.try_get(1)?, variant_row.try_get(2)?);
    if available < existing_quantity.unwrap_or(0) + line.quantity {
        return Ok(None);
    }
    sqlx::query(
        "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
         SELECT $1, $2, COALESCE(MAX(position) + 1, 0), $3, $4, now(), now() FROM cart_line WHERE cart_id = $1 \
         ON CONFLICT (cart_id, variant_id, attribute_digest) DO UPDATE SET quantity = cart_line.quantity + excluded.quantity, \
         unit_price = excluded.unit_price, updated_at = now()",
    )
    .bind(cart)
    .bind(variant)
    .bind(line.quantity)
    .bind(price)
    .execute(&mut *tx)
    .await?;
    let version_sql = "UPDATE cart SET version = version + 1, updated_at = now() WHERE id = $1";
    sqlx::query(version_sql).bind(cart).execute(&mut *tx).await?;
    let count = "SELECT SUM(quantity)::bigint FROM cart_line WHERE cart_id = $1";
    let count: i64 = sqlx::query_scalar(count).bind(cart).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    let cart = json!({ "id": token, "version": version + 1, "itemCount": count });
    let response = json!({ "data": { "cartLinesAdd": { "cart": cart, "userErrors": [] } } });
    Ok(Some(response.to_string().into_bytes()))
}
