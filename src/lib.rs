//! Savannah: a GraphQL-first commerce backend. One binary contains the API server, the worker and the commands.
//!
//! The modules are listed in import order: each module imports only modules listed above it.

pub mod base;
pub mod infra;
pub mod identity;
pub mod customer;
pub mod catalog;
pub mod inventory;
pub mod import_export;
pub mod pricing;
pub mod cart;
pub mod order;
pub mod payment;
pub mod sales;
pub mod notification;
pub mod analytics;
pub mod privacy;
pub mod operations;
pub mod job_registry;
pub mod graphql;
pub mod http;
pub mod cli;
