//! Schema: root types, limits of execution, and the schema definition.

use async_graphql::{EmptySubscription, MergedObject, Request, Response, Schema, SchemaBuilder, ValidationMode};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{admin, cart, catalog, customer, identity, inventory, node, notification, order, pricing, shop};
use crate::infra::Config;

/// Root query type.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Query")]
pub struct Query(
    shop::ShopQuery,
    node::NodeQuery,
    catalog::CatalogQuery,
    customer::queries::CustomerQuery,
    identity::IdentityQuery,
    inventory::stock::StockQuery,
    cart::CartQuery,
    order::queries::OrderQuery,
    pricing::PricingQuery,
    notification::log::NotificationQuery,
    admin::AdminQuery,
);

/// Root mutation type.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    identity::IdentityMutation,
    customer::CustomerMutations,
    catalog::mutations::CatalogMutation,
    inventory::mutations::StockMutation,
    cart::CartMutation,
    order::OrderMutations,
    pricing::PricingMutation,
    notification::NotificationMutation,
    admin::jobs::JobMutation,
);

/// Executable schema.
#[derive(Clone)]
pub struct AppSchema(Schema<Query, Mutation, EmptySubscription>);

impl AppSchema {
    /// Builds the schema. It limits the complexity of an operation; [`super::execution::document`] enforces the other rules.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut builder = create_schema_builder()
            .validation_mode(ValidationMode::Fast)
            .limit_complexity(config.graphql.max_complexity)
            .limit_recursive_depth(MAX_RECURSIVE_DEPTH)
            .limit_directives(MAX_DIRECTIVES_PER_FIELD);
        if !config.graphql.introspection.resolve(config.shop.mode) {
            builder = builder.disable_introspection();
        }
        Self(builder.finish())
    }

    /// Executes an operation of a valid document.
    pub async fn execute(&self, request: Request) -> Response {
        self.0.execute(request).await
    }
}

impl std::fmt::Debug for AppSchema {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Graph").finish_non_exhaustive()
    }
}

/// Maximum recursion through fragments; fields and depth are limited before.
const MAX_RECURSIVE_DEPTH: usize = 128;
/// Maximum number of directives per field.
const MAX_DIRECTIVES_PER_FIELD: usize = 8;

fn create_schema_builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .register_output_type::<node::Node>()
        .override_output_type_description::<Decimal>("Exact decimal number, as a string: `\"1250.00\"`. Never a float.")
        .override_output_type_description::<DateTime<Utc>>(
            "Time (RFC 3339) in UTC: `\"2026-11-22T08:00:00Z\"`. Inputs may have another offset.",
        )
}

/// Renders the schema definition, as checked in.
#[must_use]
pub fn render_sdl() -> String {
    let mut sdl = create_schema_builder().finish().sdl().trim().to_owned();
    sdl.push('\n');
    sdl
}
