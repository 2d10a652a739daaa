//! Mutation payloads: the result or user errors.

use async_graphql::{Enum, ID, SimpleObject};

use super::scalars::clamp_to_i32;
use crate::base::{
    self, GlobalId, Result,
    error::{ErrorFacts, PublicError, PublicErrorCode},
    global_id::NodeType,
};

/// Code of a user error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ErrorCode {
    /// A value is invalid.
    ValidationError,
    /// The object does not exist or the caller may not see it.
    NotFound,
    /// A unique value is already in use.
    AlreadyExists,
    /// The status does not allow the transition.
    IllegalTransition,
    /// A product is not available for purchase.
    ProductNotAvailable,
    /// The requested quantity exceeds the available stock.
    InsufficientStock,
    /// The price differs from the expected price; reload and retry.
    PriceChanged,
    /// The idempotency key was already used for a different request; use a new key.
    IdempotencyMismatch,
    /// The payment was declined.
    PaymentFailed,
    /// The email address or password is incorrect.
    InvalidCredentials,
    /// The object was changed since it was read; reload and retry.
    VersionConflict,
}

/// Error that the caller of a mutation can correct.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// Machine-readable error code.
    code: ErrorCode,
    /// Human-readable description of the error.
    message: String,
    /// Path of the input field, starting at the mutation's arguments; empty if the error concerns the whole input.
    field: Vec<String>,
    /// ID of the variant concerned; null if the error is not about a variant.
    variant_id: Option<ID>,
    /// Available quantity of the variant, for `INSUFFICIENT_STOCK`; null otherwise.
    available: Option<i32>,
    /// Limit that was exceeded, such as the maximum quantity of a line; null if the error is not about a limit.
    limit: Option<i32>,
}

impl From<PublicError> for UserError {
    fn from(error: PublicError) -> Self {
        let code = match error.code {
            PublicErrorCode::NotFound => ErrorCode::NotFound,
            PublicErrorCode::AlreadyExists => ErrorCode::AlreadyExists,
            PublicErrorCode::IllegalTransition => ErrorCode::IllegalTransition,
            PublicErrorCode::ProductNotAvailable => ErrorCode::ProductNotAvailable,
            PublicErrorCode::InsufficientStock => ErrorCode::InsufficientStock,
            PublicErrorCode::PriceChanged => ErrorCode::PriceChanged,
            PublicErrorCode::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
            PublicErrorCode::PaymentFailed => ErrorCode::PaymentFailed,
            PublicErrorCode::InvalidCredentials => ErrorCode::InvalidCredentials,
            PublicErrorCode::VersionConflict => ErrorCode::VersionConflict,
            _ => ErrorCode::ValidationError,
        };
        let ErrorFacts { variant_id, available, limit } = error.facts;
        Self {
            code,
            message: error.message,
            field: error.field,
            variant_id: variant_id.map(|variant_id| GlobalId::new(NodeType::Variant, variant_id).encode().into()),
            available: available.map(clamp_to_i32),
            limit: limit.map(clamp_to_i32),
        }
    }
}

/// Splits a result into the value and the user errors.
///
/// # Errors
/// Returns all other errors: unauthenticated, forbidden, rate-limited, too complex, unavailable and internal.
pub fn split_user_errors<T>(result: Result<T>) -> Result<(Option<T>, Vec<UserError>)> {
    let error = match result {
        Ok(value) => return Ok((Some(value), Vec::new())),
        Err(error) => error,
    };
    let request_error_codes = [
        PublicErrorCode::Unauthenticated,
        PublicErrorCode::Forbidden,
        PublicErrorCode::RateLimited,
        PublicErrorCode::QueryTooComplex,
        PublicErrorCode::Unavailable,
    ];
    if request_error_codes.contains(&error.to_public_error().code) {
        return Err(error);
    }
    let user_errors = base::Error::into_public_errors(error)?;
    Ok((None, user_errors.into_iter().map(UserError::from).collect()))
}

/// Declares a payload type with its result and user errors.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $ty:ty }) => {
        $(#[$doc])*
        #[derive(Debug, async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            $field: Option<$ty>,
            /// Errors that the caller can correct; empty on success.
            user_errors: Vec<$crate::graphql::payload::UserError>,
        }

        impl $name {
            /// Creates the payload from a result.
            ///
            /// # Errors
            /// Returns errors that the caller cannot correct.
            pub fn from_result(result: $crate::base::Result<impl Into<$ty>>) -> $crate::base::Result<Option<Self>> {
                let ($field, user_errors) = $crate::graphql::payload::split_user_errors(result)?;
                Ok(Some(Self { $field: $field.map(Into::into), user_errors }))
            }
        }
    };
}
pub(crate) use payload;
