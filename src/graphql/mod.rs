//! GraphQL schema: all types in one module tree, since they refer to each other.

pub mod context;
pub mod error;
pub mod guard;
pub mod payload;
pub mod limits;
pub mod document;
pub mod variables;
pub mod response_shape;
pub mod document_rewrite;
pub mod loader;
pub mod load_batching;
pub mod batched;
pub mod node;
pub mod shop;
pub mod category;
pub mod product;
pub mod variant;
pub mod filter;
pub mod facets;
pub mod connection;
pub mod catalog;
pub mod stock;
pub mod orders;
pub mod postal;
pub mod tax;
pub mod shipping;
pub mod cart;
pub mod audit_log;
pub mod jobs;
pub mod session;
pub mod role;
pub mod message;
pub mod preference;
pub mod customer;
pub mod customers;
pub mod profile;
pub mod staff;
pub mod address;
pub mod api_key;
pub mod password;
pub mod login;

use async_graphql::{EmptySubscription, MergedObject, Request, Response, Schema, SchemaBuilder, ValidationMode};
use rust_decimal::Decimal;

use crate::infra::Config;

/// Root query type.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Query")]
pub struct Query(
    shop::ShopQuery,
    product::ProductQuery,
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
pub struct AccountQueries(customer::CustomerQuery, api_key::ApiKeyQuery, login::LoginQuery);

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
    /// Builds the schema. It limits the complexity of an operation; [`document`] enforces the other rules.
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

/// Returns the name of the redundant argument of several mutually exclusive ones, or of the first if none was given.
fn find_conflicting_argument<const N: usize>(arguments: [(&'static str, bool); N]) -> &'static str {
    arguments.iter().filter(|(_, is_given)| *is_given).nth(1).or(arguments.first()).map_or("", |(name, _)| name)
}

/// Clamps to the 32-bit range of `Int`.
fn clamp_to_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
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
