//! What an endpoint is: a method and a path, a stored GraphQL operation, and how the request becomes its variables.

use axum::http::{Method, StatusCode};

/// Method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestMethod {
    /// Reads.
    Get,
    /// Creates, or acts.
    Post,
    /// Replaces completely.
    Put,
    /// Changes some fields.
    Patch,
    /// Deletes.
    Delete,
}

impl RestMethod {
    /// Returns the method as it is written in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Returns the method of a request; `HEAD` is answered as `GET`.
    #[must_use]
    pub fn of_request(method: &Method) -> Option<Self> {
        let name = if *method == Method::HEAD { "GET" } else { method.as_str() };
        [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete].into_iter().find(|known| known.as_str() == name)
    }
}

/// REST endpoint: a thin form of a GraphQL operation.
#[derive(Debug)]
pub struct RestEndpoint {
    /// Method.
    pub method: RestMethod,
    /// Path below the version: `/products/{id}`.
    pub path: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Texts of the document: the operation and the fragments that it uses.
    pub document: &'static [&'static str],
    /// Parameters of the path and of the query string.
    pub parameters: &'static [RestParameter],
    /// Where the fields of the body go.
    pub body: RequestBody,
    /// Where the result is in the response of the operation.
    pub result: ResultShape,
    /// Status of a success.
    pub status: StatusCode,
    /// Path of the collection that a created resource is in, below the version; `None` if none is created.
    pub created_in: Option<&'static str>,
    /// Whether `If-Match` is passed on as the expected version.
    pub has_precondition: bool,
    /// Variable that a required `Idempotency-Key` is copied to.
    pub idempotency_variable: Option<&'static str>,
    /// Whether every caller needs a token.
    pub needs_token: bool,
}

/// Place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterPlace {
    /// Segment of the path.
    Path,
    /// Query string.
    Query,
}

/// Parameter of the path or the query string. Its type is the one of its variable.
#[derive(Debug, Clone, Copy)]
pub struct RestParameter {
    /// Name in the request.
    pub name: &'static str,
    /// Place in the request.
    pub place: ParameterPlace,
    /// Variable, or the path of one of its fields: `filter.price.min`.
    pub variable: &'static str,
}

/// Where the fields of a body go.
#[derive(Debug, Clone, Copy)]
pub enum RequestBody {
    /// There is no body.
    Empty,
    /// The body is the value of the variable `input`.
    Input(InputBody),
    /// The fields of the body are these variables.
    Variables(&'static [&'static str]),
}

/// Body that is the value of the variable `input`.
#[derive(Debug, Clone, Copy)]
pub struct InputBody {
    /// Whether the body may be absent.
    pub is_optional: bool,
    /// Fields that another part of the request sets.
    pub excluded: &'static [&'static str],
    /// How a complete replacement treats absent fields; `None` for a partial change.
    pub replacement: Option<&'static Replacement>,
}

impl InputBody {
    /// The complete input, which must be present.
    pub const COMPLETE: Self = Self { is_optional: false, excluded: &[], replacement: None };
}

/// Complete replacement (`PUT`) by an operation that leaves absent fields unchanged.
#[derive(Debug)]
pub struct Replacement {
    /// Fields that cannot be cleared, so that they must be present.
    pub required: &'static [&'static str],
    /// Fields that are cleared if they are absent.
    pub cleared: &'static [&'static str],
    /// Flags that are off if they are absent.
    pub disabled: &'static [&'static str],
    /// Fields that are replaced together, if any of them is present.
    pub group: Option<ReplacementGroup>,
}

/// Fields that are replaced together.
#[derive(Debug, Clone, Copy)]
pub struct ReplacementGroup {
    /// Fields that must be present with the others.
    pub required: &'static [&'static str],
    /// Fields that are cleared if they are absent.
    pub cleared: &'static [&'static str],
}

/// Where the result is in the response of an operation. All operations name their only root field `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultShape {
    /// `result` is the resource; null if it does not exist.
    Resource,
    /// `result` is a list.
    List,
    /// `result` is a connection.
    Connection,
    /// `result.resource` is of the caller's account; null without one.
    Own,
    /// `result.resource.resource` is of the caller's customer; null without one.
    OwnOfCustomer,
    /// `result.resource` is the resource after a mutation, beside `userErrors`.
    Payload,
    /// `result.deletedId`, beside `userErrors`.
    Deletion,
}

impl RestEndpoint {
    /// An endpoint that reads.
    #[must_use]
    pub const fn read(path: &'static str, summary: &'static str, document: &'static [&'static str]) -> Self {
        Self {
            method: RestMethod::Get,
            path,
            summary,
            document,
            parameters: &[],
            body: RequestBody::Empty,
            result: ResultShape::Resource,
            status: StatusCode::OK,
            created_in: None,
            has_precondition: false,
            idempotency_variable: None,
            needs_token: false,
        }
    }

    /// An endpoint that creates a resource.
    #[must_use]
    pub const fn create(
        path: &'static str,
        collection: &'static str,
        summary: &'static str,
        document: &'static [&'static str],
    ) -> Self {
        let write = Self::write(RestMethod::Post, path, summary, document);
        Self { status: StatusCode::CREATED, created_in: Some(collection), ..write }
    }

    /// An endpoint that writes.
    #[must_use]
    pub const fn write(
        method: RestMethod,
        path: &'static str,
        summary: &'static str,
        document: &'static [&'static str],
    ) -> Self {
        Self { method, result: ResultShape::Payload, ..Self::read(path, summary, document) }
    }
}

impl RestParameter {
    /// The segment of the path with the name of its variable.
    #[must_use]
    pub const fn path(name: &'static str) -> Self {
        Self { name, place: ParameterPlace::Path, variable: name }
    }

    /// A parameter of the query string.
    #[must_use]
    pub const fn query(name: &'static str, variable: &'static str) -> Self {
        Self { name, place: ParameterPlace::Query, variable }
    }
}
