//! Buying, as one would write it by hand: the same rows in the same tables in one transaction, a statement for each kind
//! of row, the stock held last.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Acquire, PgConnection, PgPool, Row, types::Json};

/// What both take.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    cart_id: Option<String>,
    idempotency_key: Option<String>,
    expected_total: Option<String>,
    email: Option<String>,
    shipping_address: Option<Value>,
}

/// So many of a variant.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    variant_id: String,
    quantity: i64,
}

/// Text that is probably nobody else's; a shop would take it from the system's randomness.
fn random(salt: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(salt), RandomState::new().hash_one(salt))
}

/// Orders a cart.
pub async fn checkout(pool: &PgPool, input: &Input) -> sqlx::Result<Option<Vec<u8>>> {
    let (Some(word), Some(key), Some(email)) = (&input.cart_id, &input.idempotency_key, &input.email) else {
        return Ok(None);
    };
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let order: Option<i64> = sqlx::query_scalar(
        "INSERT INTO idempotency (scope, key, digest, made, created_at) VALUES ('checkoutComplete nobody', $1, $2, \
         nextval('customer_order_id_seq'), now()) ON CONFLICT DO NOTHING RETURNING made",
    )
    .bind(key)
    .bind(word)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(order) = order else { return Ok(None) };
    let cart = sqlx::query("SELECT id FROM cart WHERE word = $1 AND state = 'open' FOR UPDATE");
    let Some(cart) = cart.bind(word).fetch_optional(&mut *tx).await? else { return Ok(None) };
    let cart: i64 = cart.try_get(0)?;
    let lines = sqlx::query(
        "SELECT l.variant_id, l.quantity, v.product_id, v.sku, p.name, v.name, COALESCE(v.sale_price, v.price), v.price, v.weight_grams, \
         r.basis_points FROM cart_line AS l JOIN variant AS v ON v.id = l.variant_id \
         JOIN product AS p ON p.id = v.product_id LEFT JOIN tax_rate AS r ON r.country_code = 'KE' AND r.category_id IS NULL \
         WHERE l.cart_id = $1 AND p.status = 'active' AND v.deleted_at IS NULL ORDER BY l.variant_id",
    )
    .bind(cart)
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
    let number = write(&mut tx, (order, cart, total), (email, input.shipping_address.as_ref()), &lines).await?;
    tx.commit().await?;
    let order = json!({ "number": number, "status": "PENDING", "total": amount });
    let answer = json!({ "data": { "checkoutComplete": { "order": order, "userErrors": [] } } });
    Ok(Some(answer.to_string().into_bytes()))
}

async fn write(
    tx: &mut PgConnection,
    (order, cart, total): (i64, i64, i64),
    (email, address): (&str, Option<&Value>),
    lines: &[sqlx::postgres::PgRow],
) -> sqlx::Result<String> {
    let number = random(email)[..12].to_owned();
    sqlx::query(
        "INSERT INTO customer_order (id, number, token, cart_id, email, name_key, language, status, payment_status, \
         fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, shipping_address, \
         billing_address, version, placed_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, 'bench', 'en', \
         'pending', 'authorised', 'unfulfilled', 'KES', $6, 0, 0, 0, 0, $6, $7, $7, 1, now(), now(), now())",
    )
    .bind(order)
    .bind(&number)
    .bind(random(&number))
    .bind(cart)
    .bind(email)
    .bind(total)
    .bind(Json(address))
    .execute(&mut *tx)
    .await?;
    let mut keys = Vec::new();
    for (at, line) in (0_i32..).zip(lines) {
        let (variant, quantity, price): (i64, i64, i64) = (line.try_get(0)?, line.try_get(1)?, line.try_get(6)?);
        let key: i64 = sqlx::query_scalar(
            "INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, variant_name, quantity, \
             unit_list, unit_price, discount, tax_rate, tax, tax_added, total, tracked, fulfilled, refunded, cancelled, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 0, 0, 0, 0, $8 * $9, true, 0, 0, 0, \
             now(), now()) RETURNING id",
        )
        .bind(order)
        .bind(at)
        .bind(variant)
        .bind(line.try_get::<i64, _>(2)?)
        .bind(line.try_get::<&str, _>(3)?)
        .bind(line.try_get::<&str, _>(4)?)
        .bind(line.try_get::<&str, _>(5)?)
        .bind(quantity)
        .bind(price)
        .fetch_one(&mut *tx)
        .await?;
        keys.push((variant, key, quantity));
    }
    for (text, amount) in [
        (
            "INSERT INTO order_entry (order_id, kind, actor_kind, is_public, created_at) VALUES ($1, 'placed', 'nobody', true, now() + $2 * interval '0')",
            0,
        ),
        (
            "UPDATE cart SET state = 'ordered', order_id = $1, version = version + 1, updated_at = now() WHERE id = $2",
            cart,
        ),
        (
            "WITH p AS (INSERT INTO payment (order_id, provider, reference, status, amount, captured, refunded, created_at, \
          updated_at) VALUES ($1, 'manual', 'order-' || $1, 'authorised', $2, 0, 0, now(), now()) RETURNING id) \
          INSERT INTO payment_entry (payment_id, kind, amount, reference, created_at) \
          SELECT id, 'authorise', $2, 'order-' || $1, now() FROM p",
            total,
        ),
    ] {
        sqlx::query(text).bind(order).bind(amount).execute(&mut *tx).await?;
    }
    let event = "INSERT INTO outbox (kind, aggregate, payload, created_at) VALUES ('OrderPlaced', $1, $2, now())";
    let (aggregate, payload) = (format!("order:{order}"), Json(json!({ "order": order })));
    sqlx::query(event).bind(aggregate).bind(payload).execute(&mut *tx).await?;
    for (variant, key, quantity) in keys {
        let stock =
            "SELECT on_hand - reserved FROM inventory WHERE variant_id = $1 AND location_id = 1 FOR NO KEY UPDATE";
        let left: i64 = sqlx::query_scalar(stock).bind(variant).fetch_one(&mut *tx).await?;
        if left < quantity {
            return Err(sqlx::Error::RowNotFound);
        }
        let hold = "INSERT INTO stock_hold (order_line_id, location_id, variant_id, quantity, created_at, updated_at) \
                    VALUES ($1, 1, $2, $3, now(), now())";
        sqlx::query(hold).bind(key).bind(variant).bind(quantity).execute(&mut *tx).await?;
    }
    Ok(number)
}

/// Puts a variant into a cart.
pub async fn add(pool: &PgPool, word: &str, lines: &[Line]) -> sqlx::Result<Option<Vec<u8>>> {
    let Some(line) = lines.first() else { return Ok(None) };
    let Some(variant) = super::answer::key_of(&line.variant_id, "ProductVariant") else { return Ok(None) };
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let cart = sqlx::query("SELECT id, version FROM cart WHERE word = $1 AND state = 'open' FOR UPDATE");
    let Some(cart) = cart.bind(word).fetch_optional(&mut *tx).await? else { return Ok(None) };
    let (cart, version): (i64, i32) = (cart.try_get(0)?, cart.try_get(1)?);
    let offer = sqlx::query(
        "SELECT COALESCE(v.sale_price, v.price), (SELECT SUM(on_hand - reserved) FROM inventory AS i WHERE i.variant_id = v.id)::bigint, \
         (SELECT quantity FROM cart_line AS l WHERE l.cart_id = $2 AND l.variant_id = v.id) FROM variant AS v \
         JOIN product AS p ON p.id = v.product_id WHERE v.id = $1 AND p.status = 'active' AND v.deleted_at IS NULL",
    );
    let Some(offer) = offer.bind(variant).bind(cart).fetch_optional(&mut *tx).await? else { return Ok(None) };
    let (price, left, there): (i64, i64, Option<i64>) = (offer.try_get(0)?, offer.try_get(1)?, offer.try_get(2)?);
    if left < there.unwrap_or(0) + line.quantity {
        return Ok(None);
    }
    sqlx::query(
        "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
         SELECT $1, $2, COALESCE(MAX(position) + 1, 0), $3, $4, now(), now() FROM cart_line WHERE cart_id = $1 \
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = cart_line.quantity + excluded.quantity, \
         unit_price = excluded.unit_price, updated_at = now()",
    )
    .bind(cart)
    .bind(variant)
    .bind(line.quantity)
    .bind(price)
    .execute(&mut *tx)
    .await?;
    let touch = "UPDATE cart SET version = version + 1, updated_at = now() WHERE id = $1";
    sqlx::query(touch).bind(cart).execute(&mut *tx).await?;
    let count = "SELECT SUM(quantity)::bigint FROM cart_line WHERE cart_id = $1";
    let count: i64 = sqlx::query_scalar(count).bind(cart).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    let cart = json!({ "id": word, "version": version + 1, "itemCount": count });
    let answer = json!({ "data": { "cartLinesAdd": { "cart": cart, "userErrors": [] } } });
    Ok(Some(answer.to_string().into_bytes()))
}
