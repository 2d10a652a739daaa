//! `/cart`.

use axum::http::StatusCode;

use super::{ADDRESS, COST, ID, MONEY, USER_ERROR, orders::ORDER};
use crate::http::rest::endpoint::{InputBody, RequestBody, RestEndpoint, RestMethod, RestParameter, ResultShape};

const CART: &str = include_str!("../operations/fragments/cart.graphql");
const LINE_ID: RestParameter = RestParameter::path("lineId");

/// Declares a change of a cart.
macro_rules! cart_change {
    ($file:literal, $method:ident $path:literal, $summary:literal, { $($field:ident: $value:expr),* $(,)? }) => {
        RestEndpoint {
            $($field: $value,)*
            ..RestEndpoint::write(
                RestMethod::$method,
                $path,
                $summary,
                &[include_str!(concat!("../operations/", $file)), CART, COST, MONEY, ADDRESS, USER_ERROR],
            )
        }
    };
}

/// Endpoints of carts.
pub(super) static CARTS: [RestEndpoint; 12] = [
    RestEndpoint {
        result: ResultShape::OwnOfCustomer,
        needs_token: true,
        ..RestEndpoint::read(
            "/cart",
            "Returns the open cart of the customer that the token is of.",
            &[include_str!("../operations/cart_get_own.graphql"), CART, COST, MONEY, ADDRESS],
        )
    },
    cart_change!("cart_create.graphql", Post "/cart",
        "Creates a cart; for a customer with an open cart, adds the lines to it.", {
        body: RequestBody::Input(InputBody { is_optional: true, ..InputBody::COMPLETE }),
        status: StatusCode::CREATED,
        created_in: Some("/cart"),
    }),
    RestEndpoint {
        parameters: &[ID],
        ..RestEndpoint::read(
            "/cart/{id}",
            "Returns a cart with its lines, amounts and shipping options.",
            &[include_str!("../operations/cart_get.graphql"), CART, COST, MONEY, ADDRESS],
        )
    },
    cart_change!("cart_clear.graphql", Delete "/cart/{id}", "Removes all lines of a cart.", {
        has_precondition: true,
        parameters: &[ID],
    }),
    cart_change!("cart_lines_add.graphql", Post "/cart/{id}/lines",
        "Adds lines to a cart; the quantity of a line that it has is increased.", {
        has_precondition: true,
        parameters: &[ID],
        body: RequestBody::Variables(&["lines", "adjust"]),
    }),
    cart_change!("cart_line_update.graphql", Patch "/cart/{id}/lines/{lineId}",
        "Changes the quantity or the attributes of a line.", {
        has_precondition: true,
        parameters: &[ID, LINE_ID],
        body: RequestBody::Variables(&["quantity", "attributes"]),
    }),
    cart_change!("cart_line_remove.graphql", Delete "/cart/{id}/lines/{lineId}", "Removes a line of a cart.", {
        has_precondition: true,
        parameters: &[ID, LINE_ID],
    }),
    cart_change!("cart_contact_update.graphql", Patch "/cart/{id}/contact",
        "Changes the email address or the phone number of a cart.", {
        has_precondition: true,
        parameters: &[ID],
        body: RequestBody::Input(InputBody::COMPLETE),
    }),
    cart_change!("cart_address_update.graphql", Patch "/cart/{id}/addresses",
        "Changes the shipping address or the billing address of a cart.", {
        has_precondition: true,
        parameters: &[ID],
        body: RequestBody::Input(InputBody::COMPLETE),
    }),
    cart_change!("cart_shipping_method_update.graphql", Put "/cart/{id}/shipping-method",
        "Selects the shipping method of a cart, or none.", {
        has_precondition: true,
        parameters: &[ID],
        body: RequestBody::Variables(&["shippingMethodId"]),
    }),
    cart_change!("cart_note_update.graphql", Put "/cart/{id}/note", "Sets or removes the note of a cart.", {
        has_precondition: true,
        parameters: &[ID],
        body: RequestBody::Variables(&["note"]),
    }),
    RestEndpoint {
        parameters: &[RestParameter { variable: "input.cartId", ..ID }],
        body: RequestBody::Input(InputBody { excluded: &["cartId", "idempotencyKey"], ..InputBody::COMPLETE }),
        idempotency_variable: Some("input.idempotencyKey"),
        ..RestEndpoint::create(
            "/cart/{id}/checkout",
            "/orders",
            "Places an order with the lines of a cart, and attempts its payment.",
            &[include_str!("../operations/cart_checkout.graphql"), ORDER, COST, MONEY, ADDRESS, USER_ERROR],
        )
    },
];
