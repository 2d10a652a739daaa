//! The graph: every type of the schema, in one room where siblings may name each other.

pub mod context;
pub mod error;
pub mod guard;
pub mod payload;
pub mod limits;
pub mod document;
pub mod variables;
pub mod shape;
pub mod prepare;
pub mod loader;
pub mod quick;
pub mod throttle;
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
pub mod audit;
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

/// The root of every read.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Query")]
pub struct Query(
    shop::ShopQuery,
    product::ProductQuery,
    category::CategoryQuery,
    node::NodeQuery,
    PeopleQuery,
    SellingQuery,
    PurchaseQuery,
    ShopkeepingQuery,
);

/// What can be asked about carts, and about what is added to prices.
#[derive(Debug, Default, MergedObject)]
pub struct PurchaseQuery(cart::CartQuery, shipping::ShippingQuery, tax::TaxQuery);

/// What staff ask about how the shop runs.
#[derive(Debug, Default, MergedObject)]
pub struct ShopkeepingQuery(audit::AuditQuery, jobs::JobQuery, message::MessageQuery);

/// What can be asked about stock and orders.
#[derive(Debug, Default, MergedObject)]
pub struct SellingQuery(stock::StockQuery, orders::list::OrderQuery);

/// What can be asked about people.
#[derive(Debug, Default, MergedObject)]
pub struct PeopleQuery(customer::CustomerQuery, api_key::ApiKeyQuery, login::LoginQuery);

/// The root of every change.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    SignInMutation,
    PeopleMutation,
    catalog::CatalogMutation,
    SellingMutation,
    PurchaseMutation,
    ShopkeepingMutation,
);

/// What can be changed about carts, and about what is added to prices.
#[derive(Debug, Default, MergedObject)]
pub struct PurchaseMutation(
    cart::change::CartLineMutation,
    cart::said::CartSaidMutation,
    shipping::ShippingMutation,
    tax::TaxMutation,
);

/// What moves stock, makes orders and brings them to their end.
#[derive(Debug, Default, MergedObject)]
pub struct SellingMutation(
    stock::change::StockMutation,
    orders::buy::CheckoutMutation,
    orders::change::OrderMutation,
    orders::guest::GuestMutation,
);

/// What staff change about how the shop runs.
#[derive(Debug, Default, MergedObject)]
pub struct ShopkeepingMutation(jobs::JobMutation, message::MessageMutation);

/// Ways in and out.
#[derive(Debug, Default, MergedObject)]
pub struct SignInMutation(session::SessionMutation, password::PasswordMutation, login::LoginMutation);

/// What can be changed about people.
#[derive(Debug, Default, MergedObject)]
pub struct PeopleMutation(
    profile::CustomerMutation,
    address::AddressMutation,
    staff::StaffMutation,
    api_key::ApiKeyMutation,
    preference::PreferenceMutation,
);

/// The whole schema, as it is executed.
#[derive(Clone)]
pub struct Graph(Schema<Query, Mutation, EmptySubscription>);

impl Graph {
    /// Builds the schema. It adds up the cost of an operation; the other rules are those of [`document`].
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut builder = builder()
            .validation_mode(ValidationMode::Fast)
            .limit_complexity(config.graphql.max_complexity)
            .limit_recursive_depth(RECURSION)
            .limit_directives(DIRECTIVES);
        if !config.graphql.introspection.on(config.shop.mode) {
            builder = builder.disable_introspection();
        }
        Self(builder.finish())
    }

    /// Executes an operation of a valid document.
    pub async fn execute(&self, request: Request) -> Response {
        self.0.execute(request).await
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

/// Which of several arguments that stand for each other is one too many; the first when none was given.
fn surplus<const N: usize>(given: [(&'static str, bool); N]) -> &'static str {
    given.iter().filter(|(_, given)| *given).nth(1).or(given.first()).map_or("", |(name, _)| name)
}

/// `Int` has 32 bits: what is larger is told as the largest.
fn int(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

/// What may nest in one operation by way of fragments; its fields and depth are limited before this is looked at.
const RECURSION: usize = 128;
/// More directives on one field serve nobody.
const DIRECTIVES: usize = 8;

fn builder() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .register_output_type::<node::Node>()
        .override_output_type_description::<Decimal>(
            "An exact decimal number, as a string: `\"1250.00\"`. Never a float.",
        )
}

/// The contract, as it is checked in.
#[must_use]
pub fn sdl() -> String {
    let mut text = builder().finish().sdl().trim().to_owned();
    text.push('\n');
    text
}
