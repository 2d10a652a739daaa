//! Schema: root types, limits of execution, and the schema definition.

use async_graphql::{
    MergedObject, ObjectType, Request, Response, Schema, SchemaBuilder, ValidationMode, extensions::ExtensionFactory,
};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use rust_decimal::Decimal;

use super::{
    admin, analytics, cart, catalog, customer, federation, identity, inventory, media, node, notification, operations,
    order, pricing, received_webhook, shop, subscription::SubscriptionRoot, webhook,
};
use crate::infra::Config;

/// Declares a root query type with the queries of all domains and additional ones.
macro_rules! declare_query_root {
    ($(#[$attribute:meta])* $name:ident $(, $additional:ty)*) => {
        $(#[$attribute])*
        #[derive(Debug, Default, MergedObject)]
        #[graphql(name = "Query")]
        pub struct $name(
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
            analytics::AnalyticsQuery,
            operations::OperationQuery,
            received_webhook::ReceivedWebhookQuery,
            webhook::WebhookQuery,
            media::MediaQuery,
            $($additional,)*
        );
    };
}

declare_query_root! {
    /// Root query type.
    Query
}

declare_query_root! {
    /// Root query type of a subgraph.
    FederatedQuery, federation::FederationQuery
}

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
    operations::OperationMutation,
    received_webhook::ReceivedWebhookMutation,
    webhook::mutations::WebhookMutation,
    media::mutations::MediaMutation,
);

/// Executable schema.
#[derive(Clone)]
pub enum AppSchema {
    /// The schema as checked in.
    Plain(Schema<Query, Mutation, SubscriptionRoot>),
    /// The schema as a subgraph of Apollo Federation.
    Federated(Schema<FederatedQuery, Mutation, SubscriptionRoot>),
}

impl AppSchema {
    /// Builds the schema. It limits the complexity of an operation; [`super::execution::document`] enforces the other rules.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        if config.graphql.federation {
            Self::Federated(with_limits(create_federated_schema_builder(), config).finish())
        } else {
            Self::Plain(with_limits(create_schema_builder(), config).finish())
        }
    }

    /// Builds a schema without limits of complexity, with an extension. It includes the fields of Apollo Federation.
    #[must_use]
    pub fn with_extension(extension: impl ExtensionFactory) -> Self {
        let builder = create_federated_schema_builder().validation_mode(ValidationMode::Fast);
        Self::Federated(builder.limit_recursive_depth(MAX_RECURSIVE_DEPTH).extension(extension).finish())
    }

    /// Executes an operation of a valid document.
    pub async fn execute(&self, request: Request) -> Response {
        match self {
            Self::Plain(schema) => schema.execute(request).await,
            Self::Federated(schema) => schema.execute(request).await,
        }
    }

    /// Executes a subscription of a valid document for one phase, whose stream has at most one item.
    pub async fn execute_subscription(&self, request: Request) -> Option<Response> {
        match self {
            Self::Plain(schema) => schema.execute_stream(request).next().await,
            Self::Federated(schema) => schema.execute_stream(request).next().await,
        }
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

/// Sets the limits of execution.
fn with_limits<Q>(
    builder: SchemaBuilder<Q, Mutation, SubscriptionRoot>,
    config: &Config,
) -> SchemaBuilder<Q, Mutation, SubscriptionRoot>
where
    Q: ObjectType + 'static,
{
    let builder = builder
        .validation_mode(ValidationMode::Fast)
        .limit_complexity(config.graphql.max_complexity)
        .limit_recursive_depth(MAX_RECURSIVE_DEPTH)
        .limit_directives(MAX_DIRECTIVES_PER_FIELD);
    if config.graphql.introspection.resolve(config.shop.mode) { builder } else { builder.disable_introspection() }
}

/// Creates the builder of the schema as checked in.
fn create_schema_builder() -> SchemaBuilder<Query, Mutation, SubscriptionRoot> {
    describe_types(Schema::build(Query::default(), Mutation::default(), SubscriptionRoot))
}

/// Creates the builder of the schema as a subgraph.
pub(super) fn create_federated_schema_builder() -> SchemaBuilder<FederatedQuery, Mutation, SubscriptionRoot> {
    describe_types(Schema::build(FederatedQuery::default(), Mutation::default(), SubscriptionRoot))
}

/// Registers types without a field of their own and describes scalars of other crates.
fn describe_types<Q: ObjectType + 'static>(
    builder: SchemaBuilder<Q, Mutation, SubscriptionRoot>,
) -> SchemaBuilder<Q, Mutation, SubscriptionRoot> {
    builder
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

/// Renders the schema definition with the fields of a federation gateway.
#[must_use]
pub fn render_federated_sdl() -> String {
    create_federated_schema_builder().finish().sdl()
}
