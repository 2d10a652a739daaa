//! Savannah: a GraphQL-first commerce backend. One binary runs a shop.
//!
//! The modules stand in the order in which they may import each other: each knows only those above it.

pub mod base;
pub mod infra;
pub mod identity;
pub mod customer;
pub mod catalog;
pub mod inventory;
pub mod exchange;
pub mod pricing;
pub mod cart;
pub mod order;
pub mod payment;
pub mod checkout;
pub mod notification;
pub mod wiring;
pub mod graphql;
pub mod http;
pub mod cli;
