//! GraphQL schema: all types in one module tree, since they refer to each other. One folder per domain; the rest is
//! shared by all of them.

pub mod context;
pub mod shared_loads;
pub mod error;
pub mod guard;
pub mod payload;
pub mod input;
pub mod idempotency;
pub mod scalars;
pub mod cost;
pub mod pagination;
pub mod cache_policy;
pub mod execution;
pub mod loader;
pub mod row_loader;
pub mod load_batching;
pub mod batched;
pub mod node;
pub mod federation;
pub mod shop;
pub mod identity;
pub mod customer;
pub mod catalog;
pub mod inventory;
pub mod pricing;
pub mod cart;
pub mod order;
pub mod notification;
pub mod admin;
pub mod analytics;
pub mod operations;
pub mod received_webhook;
pub mod webhook;
pub mod media;
pub mod subscription;
pub mod schema;

pub use schema::{AppSchema, render_sdl};
