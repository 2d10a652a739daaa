//! Savannah: a GraphQL-first commerce backend. One binary contains the API server, the worker and the commands.
//!
//! The library consists of two crates, so that an edit of the GraphQL schema compiles only this one. `savannah_core` has
//! the modules below GraphQL, which are listed in its `lib.rs`; the modules of both are listed in import order: each
//! module imports only modules listed above it.

// The futures of the resolvers are nested deeper than the compiler's default limit, which only optimized builds reach.
#![recursion_limit = "512"]

pub use savannah_core::{
    analytics, backup, base, cart, catalog, consistency, customer, identity, import_export, infra, inventory,
    job_registry, media, monitoring, notification, operations, order, payment, pricing, privacy, sales, webhook,
};

pub mod graphql;
pub mod http;
pub mod prove;
pub mod cli;
