//! `/customers`.

use axum::http::StatusCode;

use super::{ADDRESS, AFTER, BEFORE, FIRST, ID, LAST, LIMIT, TOTAL, USER_ERROR};
use crate::http::rest::endpoint::{
    InputBody, Replacement, RequestBody, RestEndpoint, RestMethod, RestParameter, ResultShape,
};

const CUSTOMER: &str = include_str!("../operations/fragments/customer.graphql");
const DETAIL: &str = include_str!("../operations/fragments/customer_detail.graphql");

const REPLACEMENT: Replacement = Replacement {
    required: &["firstName", "lastName"],
    cleared: &["phone", "language", "externalId"],
    disabled: &[],
    group: None,
};

/// Endpoints of customers.
pub(super) static CUSTOMERS: [RestEndpoint; 8] = [
    RestEndpoint {
        parameters: &[
            FIRST,
            LIMIT,
            AFTER,
            LAST,
            BEFORE,
            TOTAL,
            RestParameter::query("search", "filter.search"),
            RestParameter::query("verified", "filter.verified"),
            RestParameter::query("disabled", "filter.disabled"),
            RestParameter::query("externalId", "filter.externalId"),
            RestParameter::query("createdFrom", "filter.createdAt.from"),
            RestParameter::query("createdTo", "filter.createdAt.to"),
        ],
        result: ResultShape::Connection,
        needs_token: true,
        ..RestEndpoint::read(
            "/customers",
            "Lists customers that match all given filters, newest first, in pages. For staff.",
            &[include_str!("../operations/customer_list.graphql"), CUSTOMER],
        )
    },
    RestEndpoint {
        body: RequestBody::Input(InputBody::COMPLETE),
        needs_token: true,
        ..RestEndpoint::create(
            "/customers",
            "/customers",
            "Creates a customer, who is emailed a token to set a password. For staff.",
            &[include_str!("../operations/customer_create.graphql"), CUSTOMER, DETAIL, ADDRESS, USER_ERROR],
        )
    },
    RestEndpoint {
        result: ResultShape::Own,
        needs_token: true,
        ..RestEndpoint::read(
            "/customers/me",
            "Returns the customer that the token is of.",
            &[include_str!("../operations/customer_get_own.graphql"), CUSTOMER, DETAIL, ADDRESS],
        )
    },
    RestEndpoint {
        body: RequestBody::Input(InputBody::COMPLETE),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Patch,
            "/customers/me",
            "Changes the given fields of the customer that the token is of: absent fields are unchanged, null clears a field.",
            &[include_str!("../operations/customer_update.graphql"), CUSTOMER, DETAIL, ADDRESS, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        needs_token: true,
        ..RestEndpoint::read(
            "/customers/{id}",
            "Returns a customer with the saved addresses. For staff.",
            &[include_str!("../operations/customer_get.graphql"), CUSTOMER, DETAIL, ADDRESS],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody { replacement: Some(&REPLACEMENT), ..InputBody::COMPLETE }),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Put,
            "/customers/{id}",
            "Replaces a customer's name, phone number, language and external id: absent optional fields are cleared. For \
             staff.",
            &[include_str!("../operations/customer_update.graphql"), CUSTOMER, DETAIL, ADDRESS, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        body: RequestBody::Input(InputBody::COMPLETE),
        has_precondition: true,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Patch,
            "/customers/{id}",
            "Changes the given fields of a customer: absent fields are unchanged, null clears a field. For staff.",
            &[include_str!("../operations/customer_update.graphql"), CUSTOMER, DETAIL, ADDRESS, USER_ERROR],
        )
    },
    RestEndpoint {
        parameters: &[ID],
        result: ResultShape::Deletion,
        status: StatusCode::NO_CONTENT,
        needs_token: true,
        ..RestEndpoint::write(
            RestMethod::Delete,
            "/customers/{id}",
            "Erases the personal data of a customer. For staff.",
            &[include_str!("../operations/customer_delete.graphql"), USER_ERROR],
        )
    },
];
