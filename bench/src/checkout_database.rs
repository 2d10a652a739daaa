//! The database of the checkout and edit scenarios, created for each run.

use std::{collections::hash_map::RandomState, hash::BuildHasher, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{Result, args::Options, database, process};

/// The number of variants for sale.
pub const VARIANT_COUNT: u32 = 1_000;

/// A database with variants in stock.
pub struct CheckoutDatabase {
    runtime: Runtime,
    db: PgConnection,
    /// The database URL.
    pub url: String,
    /// Variants and their prices.
    pub variants: Vec<(i64, i64)>,
}

impl CheckoutDatabase {
    /// Creates a database: migrated and seeded with a catalog, not analyzed, without orders.
    pub fn create(options: &Options, server: &Path, name: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("tokio cannot start: {error}"))?;
        let url = runtime.block_on(database::create_database(options, server, name, VARIANT_COUNT))?;
        let db = runtime.block_on(database::open_connection(&url))?;
        let mut checkout_database = Self { runtime, db, url, variants: Vec::new() };
        checkout_database.stock_all_variants()?;
        Ok(checkout_database)
    }

    /// Executes statements and returns their rows.
    pub fn execute(&mut self, sql: String) -> Result<Vec<sqlx::postgres::PgRow>> {
        let rows = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.db));
        rows.map_err(|error| format!("PostgreSQL refuses: {error}"))
    }

    /// Returns the single integer of a query.
    pub fn query_integer(&mut self, query: &str) -> Result<i64> {
        let rows = self.execute(format!("SELECT CAST(({query}) AS bigint)"))?;
        let row = rows.first().ok_or_else(|| format!("nothing comes of {query}"))?;
        row.try_get(0).map_err(|error| format!("{query}: {error}"))
    }

    /// Publishes all products and sets sufficient stock for all variants.
    fn stock_all_variants(&mut self) -> Result<()> {
        self.execute(
            "UPDATE product SET status = 'active'; UPDATE variant SET track_stock = true, sale_price = NULL, \
             sale_starts_at = NULL, sale_ends_at = NULL; UPDATE inventory_level SET on_hand = 1000000000; \
             INSERT INTO inventory_level (variant_id, location_id, on_hand, reserved, created_at, updated_at) \
             SELECT id, 1, 1000000000, 0, now(), now() FROM variant ON CONFLICT DO NOTHING"
                .into(),
        )?;
        let rows = self.execute(format!(
            "SELECT v.id, v.price FROM variant AS v WHERE v.deleted_at IS NULL ORDER BY v.id LIMIT {VARIANT_COUNT}"
        ))?;
        let to_variant = |row: &sqlx::postgres::PgRow| -> sqlx::Result<_> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let stock = rows.iter().map(to_variant).collect::<sqlx::Result<Vec<_>>>();
        self.variants = stock.map_err(|error| error.to_string())?;
        if self.variants.len() < 3 { Err("there is nothing to sell".into()) } else { Ok(()) }
    }

    /// Returns the CPU time of the backend processes of this database, in microseconds.
    pub fn postgres_cpu_micros(&mut self) -> Result<f64> {
        let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let rows = self.execute(query.to_owned())?;
        let ids = rows.iter().flat_map(|row| row.try_get::<i32, _>(0)).flat_map(u32::try_from);
        Ok(ids.filter_map(|id| process::process_cpu_micros(id, "postgres")).sum())
    }

    /// Inserts orders in bulk, each with two lines, history, payment, event and reserved stock. Then analyzes the
    /// database, as autovacuum does eventually.
    pub fn insert_orders(&mut self, orders: u32) -> Result<()> {
        eprintln!("filling the database with {orders} orders");
        for statement in BULK_ORDER_STATEMENTS {
            self.execute(statement.replace("{orders}", &orders.to_string()))?;
        }
        self.execute("VACUUM ANALYZE".into()).map(drop)
    }
}

/// Generates a unique token.
pub fn generate_token(salt: &RandomState, index: u32) -> String {
    let hash_part = |part: u32| salt.hash_one((index, part)).to_be_bytes();
    BASE64_URL_SAFE_NO_PAD.encode([hash_part(0), hash_part(1), hash_part(2), hash_part(3)].concat())
}

/// Encodes the global id of a variant.
pub fn encode_variant_id(key: i64) -> String {
    encode_global_id("ProductVariant", key)
}

/// Encodes a global id of the API.
pub fn encode_global_id(kind: &str, key: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}:{key}"))
}

/// Returns the shipping address of all orders.
pub fn sample_shipping_address() -> Value {
    json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1", "city": "Nairobi",
        "countryCode": "KE" } })
}

/// Row triggers are disabled because they are too slow in bulk; the sums that they maintain are set at the end.
const BULK_ORDER_STATEMENTS: [&str; 4] = [
    "SET session_replication_role = replica",
    "WITH stock AS (SELECT array_agg(v.id ORDER BY v.id) AS ids FROM (SELECT id FROM variant ORDER BY id LIMIT 1000) AS v), \
     made AS (INSERT INTO orders (number, guest_access_token, email, customer_name_normalized, language, status, \
     payment_status, \
     fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, version, placed_at, \
     created_at, updated_at) \
     SELECT 'B' || lpad(n::text, 9, '0'), md5(n::text) || md5((-n)::text), 'buyer' || n || '@example.com', 'buyer ' || n, 'en', \
     (ARRAY['pending', 'confirmed', 'processing', 'shipped', 'delivered'])[1 + n % 5], 'authorized', 'unfulfilled', \
     'KES', 2000, 0, \
     0, 0, 0, 2000, 1, now() - n * interval '1 minute', now(), now() FROM generate_series(1, {orders}) AS n RETURNING id), \
     lines AS (INSERT INTO order_line (order_id, position, variant_id, product_id, sku, name, variant_name, quantity, \
     unit_list_price, \
     unit_price, discount, tax_rate_bps, tax, tax_excluded_total, total, track_stock, quantity_fulfilled, \
     quantity_refunded, quantity_canceled, created_at, updated_at) \
     SELECT m.id, p.place, v.id, v.product_id, v.sku, v.name, v.name, 1, 1000, 1000, 0, 0, 0, 0, 1000, true, 0, 0, 0, now(), now() \
     FROM made AS m CROSS JOIN generate_series(0, 1) AS p (place) CROSS JOIN stock AS s \
     JOIN variant AS v ON v.id = s.ids[1 + (m.id * 7 + p.place * 501) % cardinality(s.ids)] RETURNING id, variant_id), \
     holds AS (INSERT INTO stock_reservation (order_line_id, location_id, variant_id, quantity, created_at, \
     updated_at) \
     SELECT id, 1, variant_id, 1, now(), now() FROM lines), \
     entries AS (INSERT INTO order_history (order_id, event_type, actor_kind, is_public, created_at) \
     SELECT id, 'placed', 'anonymous', true, now() FROM made), \
     payments AS (INSERT INTO payment (order_id, method, provider, reference, status, amount, captured, refunded, created_at, updated_at) \
     SELECT id, 'cash_on_delivery', 'manual', 'order-' || id, 'authorized', 2000, 0, 0, now(), now() FROM made RETURNING id, reference) \
     INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
     SELECT id, 'authorize', 2000, reference, now() FROM payments",
    "UPDATE inventory_level SET reserved = held.quantity FROM (SELECT variant_id, sum(quantity) AS quantity FROM \
     stock_reservation \
     GROUP BY variant_id) AS held WHERE held.variant_id = inventory_level.variant_id AND inventory_level.location_id = 1",
    "SET session_replication_role = origin",
];
