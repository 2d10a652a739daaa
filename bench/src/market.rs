//! A database with something to sell, made for one run, and what is known of it.

use std::{collections::hash_map::RandomState, hash::BuildHasher, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{Result, args::Options, database, process};

/// How many variants are sold.
pub const VARIANTS: u32 = 1_000;

/// The shop's database, and what is in stock.
pub struct Market {
    runtime: Runtime,
    db: PgConnection,
    /// Its address.
    pub url: String,
    /// Variants with their prices.
    pub stock: Vec<(i64, i64)>,
}

impl Market {
    /// Makes a new database: migrated and filled with a catalog just now, never analyzed, without any order.
    pub fn make(options: &Options, server: &Path, name: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|why| format!("tokio cannot start: {why}"))?;
        let url = runtime.block_on(database::make(options, server, name, VARIANTS))?;
        let db = runtime.block_on(database::connect(&url))?;
        let mut market = Self { runtime, db, url, stock: Vec::new() };
        market.open()?;
        Ok(market)
    }

    /// Runs statements; the rows that they answer.
    pub fn sql(&mut self, sql: String) -> Result<Vec<sqlx::postgres::PgRow>> {
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.db));
        done.map_err(|why| format!("PostgreSQL refuses: {why}"))
    }

    /// The one number that a query answers.
    pub fn number(&mut self, query: &str) -> Result<i64> {
        let rows = self.sql(format!("SELECT CAST(({query}) AS bigint)"))?;
        let row = rows.first().ok_or_else(|| format!("nothing comes of {query}"))?;
        row.try_get(0).map_err(|why| format!("{query}: {why}"))
    }

    /// Puts enough of everything on the shelves, all of it for sale.
    fn open(&mut self) -> Result<()> {
        self.sql(
            "UPDATE product SET status = 'active'; UPDATE variant SET track_stock = true, sale_price = NULL, \
             sale_starts_at = NULL, sale_ends_at = NULL; UPDATE inventory SET on_hand = 1000000000; \
             INSERT INTO inventory (variant_id, location_id, on_hand, reserved, created_at, updated_at) \
             SELECT id, 1, 1000000000, 0, now(), now() FROM variant ON CONFLICT DO NOTHING"
                .into(),
        )?;
        let rows = self.sql(format!(
            "SELECT v.id, v.price FROM variant AS v WHERE v.deleted_at IS NULL ORDER BY v.id LIMIT {VARIANTS}"
        ))?;
        let read = |row: &sqlx::postgres::PgRow| -> sqlx::Result<_> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let stock = rows.iter().map(read).collect::<sqlx::Result<Vec<_>>>();
        self.stock = stock.map_err(|why| why.to_string())?;
        if self.stock.len() < 3 { Err("there is nothing to sell".into()) } else { Ok(()) }
    }

    /// The processor time of the database's processes that serve this database, in microseconds.
    pub fn backends(&mut self) -> Result<f64> {
        let ask = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let rows = self.sql(ask.to_owned())?;
        let ids = rows.iter().flat_map(|row| row.try_get::<i32, _>(0)).flat_map(u32::try_from);
        Ok(ids.filter_map(|id| process::cpu(id, "postgres")).sum())
    }

    /// Places many orders at once, by bulk: each of two lines with their history, payment, event and reserved stock. Then
    /// the database is analyzed, as it is by itself some time after.
    pub fn fill(&mut self, orders: u32) -> Result<()> {
        eprintln!("filling the database with {orders} orders");
        for statement in FILL {
            self.sql(statement.replace("{orders}", &orders.to_string()))?;
        }
        self.sql("VACUUM ANALYZE".into()).map(drop)
    }
}

/// A word that is nobody else's.
pub fn word(salt: &RandomState, at: u32) -> String {
    let half = |part: u32| salt.hash_one((at, part)).to_be_bytes();
    BASE64_URL_SAFE_NO_PAD.encode([half(0), half(1), half(2), half(3)].concat())
}

/// A variant's id.
pub fn variant_id(key: i64) -> String {
    id("ProductVariant", key)
}

/// An id of the API.
pub fn id(kind: &str, key: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}:{key}"))
}

/// Where everything goes.
pub fn address() -> Value {
    json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "KE" } })
}

/// The triggers are left out, because they look at one row after the other; the sums that they keep are set at the end.
const FILL: [&str; 4] = [
    "SET session_replication_role = replica",
    "WITH stock AS (SELECT array_agg(v.id ORDER BY v.id) AS ids FROM (SELECT id FROM variant ORDER BY id LIMIT 1000) AS v), \
     made AS (INSERT INTO customer_order (number, token, email, name_key, language, status, payment_status, \
     fulfilment_status, currency, subtotal, discount, shipping, tax, tax_added, total, version, placed_at, created_at, updated_at) \
     SELECT 'B' || lpad(n::text, 9, '0'), md5(n::text) || md5((-n)::text), 'buyer' || n || '@example.com', 'buyer ' || n, 'en', \
     (ARRAY['pending', 'confirmed', 'processing', 'shipped', 'delivered'])[1 + n % 5], 'authorised', 'unfulfilled', 'KES', 2000, 0, \
     0, 0, 0, 2000, 1, now() - n * interval '1 minute', now(), now() FROM generate_series(1, {orders}) AS n RETURNING id), \
     lines AS (INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, variant_name, quantity, unit_list, \
     unit_price, discount, tax_rate, tax, tax_added, total, tracked, fulfilled, refunded, cancelled, created_at, updated_at) \
     SELECT m.id, p.place, v.id, v.product_id, v.sku, v.name, v.name, 1, 1000, 1000, 0, 0, 0, 0, 1000, true, 0, 0, 0, now(), now() \
     FROM made AS m CROSS JOIN generate_series(0, 1) AS p (place) CROSS JOIN stock AS s \
     JOIN variant AS v ON v.id = s.ids[1 + (m.id * 7 + p.place * 501) % cardinality(s.ids)] RETURNING id, variant_id), \
     holds AS (INSERT INTO stock_hold (order_line_id, location_id, variant_id, quantity, created_at, updated_at) \
     SELECT id, 1, variant_id, 1, now(), now() FROM lines), \
     entries AS (INSERT INTO order_entry (order_id, kind, actor_kind, is_public, created_at) \
     SELECT id, 'placed', 'nobody', true, now() FROM made), \
     payments AS (INSERT INTO payment (order_id, provider, reference, status, amount, captured, refunded, created_at, updated_at) \
     SELECT id, 'manual', 'order-' || id, 'authorised', 2000, 0, 0, now(), now() FROM made RETURNING id, reference) \
     INSERT INTO payment_entry (payment_id, kind, amount, reference, created_at) \
     SELECT id, 'authorise', 2000, reference, now() FROM payments",
    "UPDATE inventory SET reserved = held.quantity FROM (SELECT variant_id, sum(quantity) AS quantity FROM stock_hold \
     GROUP BY variant_id) AS held WHERE held.variant_id = inventory.variant_id AND inventory.location_id = 1",
    "SET session_replication_role = origin",
];
