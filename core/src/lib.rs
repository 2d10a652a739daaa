//! Everything of Savannah below GraphQL and HTTP: values, access to databases and services, and a module for each
//! domain with its tables, rules, events and jobs.
//!
//! The modules are listed in import order: each module imports only modules listed above it.

// The futures of use cases are nested deeper than the compiler's default limit, which only optimized builds reach.
#![recursion_limit = "512"]

pub mod base;
pub mod infra;
pub mod identity;
pub mod customer;
pub mod media;
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
pub mod webhook;
pub mod monitoring;
pub mod consistency;
pub mod backup;
pub mod job_registry;
