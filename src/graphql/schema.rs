//! Schema: root types, limits of execution, and the schema definition.

use async_graphql::{EmptySubscription, MergedObject, Request, Response, Schema, SchemaBuilder, ValidationMode};
use rust_decimal::Decimal;

use super::{
    address, api_key, audit_log, cart, catalog, category, customers, jobs, login, message, node, orders, password,
    preference, products, profile, session, shipping, shop, staff, stock, tax,
};
use crate::infra::Config;

/// Root query type.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Query")]
pub struct Query(
    shop::ShopQuery,
    products::ProductQuery,
    category::CategoryQuery,
    node::NodeQuery,
    AccountQueries,
    OrderQueries,
    CartQueries,
    AdminQueries,
);

/// Cart, shipping and tax queries.
#[derive(Debug, Default, MergedObject)]
pub struct CartQueries(cart::CartQuery, shipping::ShippingQuery, tax::TaxQuery);

/// Administration queries for staff.
#[derive(Debug, Default, MergedObject)]
pub struct AdminQueries(audit_log::AuditQuery, jobs::JobQuery, message::MessageQuery);

/// Stock and order queries.
#[derive(Debug, Default, MergedObject)]
pub struct OrderQueries(stock::StockQuery, orders::queries::OrderQuery);

/// Account queries.
#[derive(Debug, Default, MergedObject)]
pub struct AccountQueries(customers::CustomerQuery, api_key::ApiKeyQuery, login::LoginQuery);

/// Root mutation type.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    AuthMutations,
    AccountMutations,
    catalog::CatalogMutation,
    OrderMutations,
    CartMutations,
    AdminMutations,
);

/// Cart, shipping and tax mutations.
#[derive(Debug, Default, MergedObject)]
pub struct CartMutations(
    cart::mutations::CartLineMutation,
    cart::details::CartDetailsMutation,
    shipping::ShippingMutation,
    tax::TaxMutation,
);

/// Stock, checkout and order mutations.
#[derive(Debug, Default, MergedObject)]
pub struct OrderMutations(
    stock::mutations::StockMutation,
    orders::checkout::CheckoutMutation,
    orders::mutations::OrderMutation,
    orders::guest_erasure::GuestMutation,
);

/// Administration mutations for staff.
#[derive(Debug, Default, MergedObject)]
pub struct AdminMutations(jobs::JobMutation, message::MessageMutation);

/// Authentication mutations.
#[derive(Debug, Default, MergedObject)]
pub struct AuthMutations(session::SessionMutation, password::PasswordMutation, login::LoginMutation);

/// Account mutations.
#[derive(Debug, Default, MergedObject)]
pub struct AccountMutations(
    profile::CustomerMutation,
    address::AddressMutation,
    staff::StaffMutation,
    api_key::ApiKeyMutation,
    preference::PreferenceMutation,
);

/// Executable schema.
#[derive(Clone)]
pub struct AppSchema(Schema<Query, Mutation, EmptySubscription>);

impl AppSchema {
    /// Builds the schema. It limits the complexity of an operation; [`super::document`] enforces the other rules.
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
        .override_output_type_description::<Decimal>(
            "An exact decimal number, as a string: `\"1250.00\"`. Never a float.",
        )
}

/// Renders the schema definition, as checked in.
#[must_use]
pub fn render_sdl() -> String {
    let mut sdl = create_schema_builder().finish().sdl().trim().to_owned();
    sdl.push('\n');
    sdl
}
