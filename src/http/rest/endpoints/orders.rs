//! `/orders`.

use super::{ADDRESS, AFTER, BEFORE, COST, FIRST, ID, LAST, LIMIT, MONEY, TOTAL, USER_ERROR};
use crate::http::rest::endpoint::{InputBody, RequestBody, RestEndpoint, RestMethod, RestParameter, ResultShape};

pub(super) const ORDER: &str = include_str!("../operations/fragments/order.graphql");

const KEYED_INPUT: RequestBody = RequestBody::Input(InputBody { excluded: &["idempotencyKey"], ..InputBody::COMPLETE });

/// Declares an action on an order.
macro_rules! order_action {
    ($file:literal, $path:literal, $summary:literal, { $($field:ident: $value:expr),* $(,)? }) => {
        RestEndpoint {
            parameters: &[ID],
            $($field: $value,)*
            ..RestEndpoint::write(
                RestMethod::Post,
                $path,
                $summary,
                &[include_str!(concat!("../operations/", $file)), ORDER, COST, MONEY, ADDRESS, USER_ERROR],
            )
        }
    };
}

/// Endpoints of orders.
pub(super) static ORDERS: [RestEndpoint; 13] = [
    RestEndpoint {
        parameters: &[
            FIRST,
            LIMIT,
            AFTER,
            LAST,
            BEFORE,
            TOTAL,
            RestParameter::query("search", "filter.search"),
            RestParameter::query("status", "filter.status"),
            RestParameter::query("paymentStatus", "filter.paymentStatus"),
            RestParameter::query("fulfillmentStatus", "filter.fulfillmentStatus"),
            RestParameter::query("customer", "filter.customerId"),
            RestParameter::query("number", "filter.number"),
            RestParameter::query("sku", "filter.sku"),
            RestParameter::query("placedFrom", "filter.placedAt.from"),
            RestParameter::query("placedTo", "filter.placedAt.to"),
            RestParameter::query("minTotal", "filter.total.min"),
            RestParameter::query("maxTotal", "filter.total.max"),
            RestParameter::query("sort", "sort.field"),
            RestParameter::query("reverse", "sort.reverse"),
        ],
        result: ResultShape::Connection,
        needs_token: true,
        ..RestEndpoint::read(
            "/orders",
            "Lists the orders of the caller or, for staff, all orders that match all given filters, in pages.",
            &[
                include_str!("../operations/order_list.graphql"),
                include_str!("../operations/fragments/order_list_item.graphql"),
                MONEY,
            ],
        )
    },
    RestEndpoint {
        body: KEYED_INPUT,
        idempotency_variable: Some("input.idempotencyKey"),
        ..RestEndpoint::create(
            "/orders",
            "/orders",
            "Places an order without a cart, and attempts its payment.",
            &[include_str!("../operations/order_create.graphql"), ORDER, COST, MONEY, ADDRESS, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        ..RestEndpoint::read(
            "/orders/{id}",
            "Returns an order of the caller or, for staff, any order.",
            &[include_str!("../operations/order_get.graphql"), ORDER, COST, MONEY, ADDRESS],
        )
    },
    RestEndpoint {
        parameters: &[RestParameter::path("number"), RestParameter::query("token", "token")],
        ..RestEndpoint::read(
            "/orders/by-number/{number}",
            "Returns an order by its number; guests add the order's token.",
            &[include_str!("../operations/order_get_by_number.graphql"), ORDER, COST, MONEY, ADDRESS],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        has_precondition: true,
        ..RestEndpoint::write(
            RestMethod::Delete,
            "/orders/{id}",
            "Cancels an order, which remains readable. With a reason, a guest's token or single lines: \
             `POST /orders/{id}/cancel`.",
            &[include_str!("../operations/order_cancel.graphql"), ORDER, COST, MONEY, ADDRESS, USER_ERROR],
        )
    },
    order_action!("order_cancel.graphql", "/orders/{id}/cancel",
        "Cancels an order, or units of its lines; guests add the order's token.", {
        body: RequestBody::Input(InputBody { is_optional: true, ..InputBody::COMPLETE }),
        has_precondition: true,
    }),
    order_action!("order_pay.graphql", "/orders/{id}/pay",
        "Attempts the payment of an order again; guests add the order's token.", {
        body: KEYED_INPUT,
        idempotency_variable: Some("input.idempotencyKey"),
    }),
    order_action!("order_confirm.graphql", "/orders/{id}/confirm", "Confirms an order. For staff.", {
        has_precondition: true,
        needs_token: true,
    }),
    order_action!("order_fulfill.graphql", "/orders/{id}/fulfill",
        "Ships an order, or units of its lines. For staff.", {
        body: KEYED_INPUT,
        idempotency_variable: Some("input.idempotencyKey"),
        has_precondition: true,
        needs_token: true,
    }),
    order_action!("order_deliver.graphql", "/orders/{id}/deliver", "Marks an order as delivered. For staff.", {
        has_precondition: true,
        needs_token: true,
    }),
    order_action!("order_capture.graphql", "/orders/{id}/capture", "Captures the payment of an order. For staff.", {
        has_precondition: true,
        needs_token: true,
    }),
    order_action!("order_refund.graphql", "/orders/{id}/refund",
        "Refunds an order, units of its lines, or an amount. For staff.", {
        body: KEYED_INPUT,
        idempotency_variable: Some("input.idempotencyKey"),
        has_precondition: true,
        needs_token: true,
    }),
    order_action!("order_note_add.graphql", "/orders/{id}/notes", "Adds a note to the history of an order. For staff.", {
        body: RequestBody::Input(InputBody::COMPLETE),
        needs_token: true,
    }),
];
