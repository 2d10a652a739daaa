//! Entities and the migrated schema: every table has an entity with exactly the table's columns.

use std::collections::{BTreeMap, BTreeSet};

use savannah::{
    analytics::{entity as analytics, figure_entity as figures},
    cart::entity as cart,
    catalog::{entity as catalog, search::entity as search},
    customer::entity as customer,
    identity::entity as identity,
    infra::entity as infra,
    inventory::entity as inventory,
    media::entity as media,
    notification::entity as notification,
    operations::entity as operations,
    order::entity as order,
    payment::entity as payment,
    pricing::entity as pricing,
    webhook::entity as webhook,
};
use sea_orm::{ColumnTrait, ColumnType, ConnectionTrait, EntityTrait, IdenStatic, Iterable, Statement};

use crate::{
    integration_tests,
    migration_rules::PreviousRelease,
    support::{Backend, TestDatabase},
};

integration_tests![every_table_has_an_entity_with_its_columns];

/// A column of a table or of an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    table: String,
    name: String,
    is_nullable: bool,
    /// The type in PostgreSQL; empty on SQLite, where types are not enforced.
    postgres_type: String,
}

/// Tables without an entity: those of the migrations, and the search index, which has types of each database.
const TABLES_WITHOUT_ENTITY: [&str; 3] = ["seaql_migrations", "product_search", "product_ranking"];

const POSTGRES_COLUMNS_SQL: &str = "SELECT table_name, column_name, is_nullable = 'YES' AS is_nullable, data_type \
    FROM information_schema.columns WHERE table_schema = 'public'";
/// SQLite reports a primary key as nullable; a trigger sets the sequence of an event after the insert.
const SQLITE_COLUMNS_SQL: &str = "SELECT t.name AS table_name, c.name AS column_name, '' AS data_type, \
    c.\"notnull\" = 0 AND c.pk = 0 AND NOT (t.name = 'outbox_event' AND c.name = 'sequence') AS is_nullable \
    FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";

/// Reads the columns of all tables.
async fn load_columns(db: &impl ConnectionTrait, backend: Backend) -> BTreeSet<Column> {
    let sql = if backend == Backend::Postgres { POSTGRES_COLUMNS_SQL } else { SQLITE_COLUMNS_SQL };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.expect("columns");
    let read_column = |row: &sea_orm::QueryResult| Column {
        table: row.try_get("", "table_name").expect("a table"),
        name: row.try_get("", "column_name").expect("a name"),
        is_nullable: row.try_get("", "is_nullable").expect("nullability"),
        postgres_type: row.try_get("", "data_type").expect("a type"),
    };
    // The name of a search index begins the names of its internal tables.
    let has_entity = |column: &Column| !TABLES_WITHOUT_ENTITY.iter().any(|table| column.table.starts_with(table));
    rows.iter().map(read_column).filter(has_entity).collect()
}

/// Returns the columns of an entity.
fn entity_columns<E: EntityTrait>(backend: Backend) -> Vec<Column> {
    let to_column = |column: E::Column| {
        let definition = column.def();
        let is_postgres = backend == Backend::Postgres;
        Column {
            table: E::default().table_name().to_owned(),
            name: column.as_str().to_owned(),
            is_nullable: definition.is_null(),
            postgres_type: if is_postgres { postgres_type(definition.get_column_type()) } else { "" }.to_owned(),
        }
    };
    E::Column::iter().map(to_column).collect()
}

fn postgres_type(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::SmallInteger => "smallint",
        ColumnType::Integer => "integer",
        ColumnType::BigInteger => "bigint",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::TimestampWithTimeZone => "timestamp with time zone",
        ColumnType::Json => "jsonb",
        ColumnType::VarBinary(_) => "bytea",
        ColumnType::String(_) | ColumnType::Text => "text",
        other => panic!("no table has columns of the type {other:?}"),
    }
}

macro_rules! entities {
    ($backend:ident, $($module:ident: $($entity:ident),+;)+) => {
        [$($(entity_columns::<$module::$entity::Entity>($backend)),+),+].into_iter().flatten().collect()
    };
}

fn all_entity_columns(backend: Backend) -> BTreeSet<Column> {
    entities!(
        backend,
        infra: shop, audit_log, idempotency_key, idempotent_request, throttle, outbox_event, outbox_position,
            outbox_sequence, event_subscription, job, schedule;
        identity: account, account_identity, session, refresh_token, one_time_token, email_change, login_code,
            oidc_login_state, signing_key, api_key, oauth_grant;
        customer: address;
        catalog: category, category_product_count, category_tree_version, product, product_description, product_image,
            product_option, product_tag, search_term, variant, variant_option;
        search: daily_search_count, search_boost, search_index_version, search_pin, search_ranking, search_rules_version, search_synonym_group;
        media: media;
        inventory: location, inventory_level, stock_movement, stock_reservation;
        pricing: tax_rate, shipping_method;
        cart: cart, cart_line;
        order: orders, order_line, order_history, fulfillment, fulfillment_line;
        payment: payment, payment_transaction, received_webhook, refund, refund_line;
        notification: notification, notification_preference, notification_throttle, guest_sms_daily_count;
        analytics: counted_sale;
        figures: analytics_state, cart_figure, daily_cart_figure, daily_figure, daily_product_figure, order_figure,
            order_line_figure;
        operations: operation_revision, operation_version, published_operation, trusted_document, trusted_document_use;
        webhook: webhook_attempt, webhook_delivery, webhook_endpoint, webhook_event, webhook_subscription;
    )
}

async fn every_table_has_an_entity_with_its_columns(backend: Backend) {
    let db = TestDatabase::create_migrated(backend).await.connect().await;
    let (tables, entities) = (load_columns(&db, backend).await, all_entity_columns(backend));
    assert!(!tables.is_empty());
    // A column that the previous release uses, and this one no longer, is removed by the next release.
    let release = PreviousRelease::load();
    let missing = tables.difference(&entities).filter(|column| !release.has_column(&column.table, &column.name));
    let missing: Vec<_> = missing.collect();
    let surplus: Vec<_> = entities.difference(&tables).collect();
    let is_recording = std::env::var_os("SAVANNAH_RECORD_RELEASE").is_some_and(|value| value == "1");
    if is_recording && backend == Backend::Postgres {
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for column in &entities {
            columns.entry(column.table.clone()).or_default().insert(column.name.clone());
        }
        PreviousRelease::record(&columns);
    }
    assert!(missing.is_empty() && surplus.is_empty(), "not in an entity: {missing:#?}\nnot in a table: {surplus:#?}");
}
