//! Database migrations: one file per domain, then one per change, in the order of application.
//!
//! Migrations follow expand and contract, because the previous version keeps running while the next one starts.

pub use sea_orm_migration::prelude::*;

mod dialect;
mod m20261101_000001_ground;
mod m20261101_000002_catalog;
mod m20261101_000003_inventory;
mod m20261101_000004_search;
mod m20261122_000005_identity;
mod m20261122_000006_catalog_versions;
mod m20261122_000007_openid;
mod m20261122_000008_customer;
mod m20261122_000009_stock;
mod m20261122_000010_cart;
mod m20261122_000011_jobs;
mod m20261122_000012_order;
mod m20261122_000013_message;
mod m20261125_000014_throttle;
mod m20261125_000016_message_limits;
mod m20261125_000019_list_indexes;
mod m20261125_000020_identity;

/// The list of all migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261101_000001_ground::Migration),
            Box::new(m20261101_000002_catalog::Migration),
            Box::new(m20261101_000003_inventory::Migration),
            Box::new(m20261101_000004_search::Migration),
            Box::new(m20261122_000005_identity::Migration),
            Box::new(m20261122_000006_catalog_versions::Migration),
            Box::new(m20261122_000007_openid::Migration),
            Box::new(m20261122_000008_customer::Migration),
            Box::new(m20261122_000009_stock::Migration),
            Box::new(m20261122_000010_cart::Migration),
            Box::new(m20261122_000011_jobs::Migration),
            Box::new(m20261122_000012_order::Migration),
            Box::new(m20261122_000013_message::Migration),
            Box::new(m20261125_000014_throttle::Migration),
            Box::new(m20261125_000016_message_limits::Migration),
            Box::new(m20261125_000019_list_indexes::Migration),
            Box::new(m20261125_000020_identity::Migration),
        ]
    }
}
