//! REST endpoints: `/api/v1/…`, a thin form of stored GraphQL operations.
//!
//! An endpoint is a row of a table: a method and a path, a document, and how the request becomes its variables. It is
//! executed like a request to `/graphql`, so that authentication, permissions, costs, limits and caches are the same.

pub mod endpoint;
mod endpoints;
mod route;
mod version;
mod rest_error;
mod parameters;
mod body;
mod variables;
mod precondition;
mod answer;
mod links;
mod success;
mod handler;
pub mod openapi;

pub use handler::handle_rest;
pub use route::{RestRoutes, prepare_routes};
