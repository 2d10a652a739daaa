//! Schemas of the envelope: metadata and errors.

use serde_json::{Map, Value, json};

use super::{JSON_MEDIA_TYPE, types::Components};

/// Statuses of errors, with the names of their responses and what they mean.
pub const ERRORS: [(&str, &str, &str); 13] = [
    ("400", "BadRequest", "The request is malformed: JSON, a parameter or a header is invalid or unknown."),
    ("401", "Unauthorized", "A token is needed, or the token is invalid."),
    ("403", "Forbidden", "The caller lacks the permission."),
    ("404", "NotFound", "The resource does not exist, or the caller may not see it."),
    ("405", "MethodNotAllowed", "The path does not have the method; `Allow` names those that it has."),
    ("409", "Conflict", "A unique value is in use, the status does not allow the change, or the resource was changed."),
    ("412", "PreconditionFailed", "The resource was changed since it was read: `If-Match` is not its entity tag."),
    ("413", "ContentTooLarge", "The body is too large."),
    ("415", "UnsupportedMediaType", "The body is not JSON in UTF-8."),
    ("422", "UnprocessableContent", "A field of the body is invalid, unknown or missing; `details` names it."),
    ("429", "TooManyRequests", "A limit was reached; `Retry-After` says when to repeat the request."),
    ("500", "InternalServerError", "An internal error occurred."),
    ("503", "ServiceUnavailable", "The server is overloaded, or the request took too long."),
];

/// Adds the schemas of the envelope.
pub fn add_envelopes(components: &mut Components) {
    components.refer("Meta", |_| {
        json!({
            "type": "object",
            "description": "Metadata of a response.",
            "required": ["timestamp", "request_id"],
            "properties": {
                "timestamp": { "type": "string", "format": "date-time", "description": "Time of the response." },
                "request_id": { "type": "string", "description": "Id of the request, for questions about it." },
                "errors": {
                    "type": "array",
                    "description": "Errors of fields that could not be read and are null.",
                    "items": {
                        "type": "object",
                        "required": ["code", "message"],
                        "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
                    },
                },
            },
        })
    });
    components.refer("PageMeta", |_| {
        let link = |description: &str| json!({ "type": ["string", "null"], "description": description });
        json!({
            "description": "Metadata of a page.",
            "allOf": [{ "$ref": "#/components/schemas/Meta" }],
            "type": "object",
            "required": ["next", "prev", "total_count"],
            "properties": {
                "next": link("Address of the next page; null on the last one."),
                "prev": link("Address of the previous page; null on the first one."),
                "total_count": {
                    "type": ["integer", "null"],
                    "description": "Number of all items, with `total=true`; null otherwise.",
                },
            },
        })
    });
    components.refer("ErrorResponse", |_| {
        json!({
            "type": "object",
            "required": ["error", "meta"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message", "details"],
                    "properties": {
                        "code": { "type": "string", "description": "Machine-readable code." },
                        "message": { "type": "string", "description": "Description of the error." },
                        "details": {
                            "type": ["object", "null"],
                            "description": "Messages by field; null if the error is not about fields.",
                            "additionalProperties": { "type": "array", "items": { "type": "string" } },
                        },
                    },
                },
                "meta": { "$ref": "#/components/schemas/Meta" },
            },
        })
    });
}

/// Returns the responses of all errors, by name.
#[must_use]
pub fn error_responses() -> Map<String, Value> {
    let describe = |(status, name, description): (&str, &str, &str)| {
        let schema = json!({ "$ref": "#/components/schemas/ErrorResponse" });
        let mut response = json!({ "description": description, "content": { JSON_MEDIA_TYPE: { "schema": schema } } });
        let header = match status {
            "401" => Some(("WWW-Authenticate", "string", "Scheme of the token.")),
            "405" => Some(("Allow", "string", "Methods of the path.")),
            "429" | "503" => Some(("Retry-After", "integer", "Seconds after which to repeat the request.")),
            _ => None,
        };
        if let Some((header_name, ty, description)) = header {
            response["headers"] = json!({ header_name: { "description": description, "schema": { "type": ty } } });
        }
        (name.to_owned(), response)
    };
    ERRORS.into_iter().map(describe).collect()
}
