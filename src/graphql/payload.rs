//! What a mutation answers: the thing, or what its caller can put right.

use async_graphql::{Enum, SimpleObject};

use crate::base::{
    self, Result,
    error::{Code, Problem},
};

/// What kind of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ErrorCode {
    /// A value that cannot be.
    ValidationError,
    /// What is meant is not there.
    NotFound,
    /// There may be only one such thing, and there is one already.
    AlreadyExists,
    /// It may not go from where it stands to where it should.
    IllegalTransition,
    /// A product is not, or no longer, on sale.
    ProductNotAvailable,
    /// Fewer are left than are wanted.
    InsufficientStock,
    /// It costs something else than you expect: read it again, and decide again.
    PriceChanged,
    /// The idempotency key was used before, for something else: take a new one.
    IdempotencyMismatch,
    /// The payment was refused.
    PaymentFailed,
    /// The e-mail address and the password do not belong together.
    InvalidCredentials,
    /// It has been changed since you read it: read it again, and decide again.
    VersionConflict,
}

/// Something that the caller of a mutation can put right.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// The kind, for programs.
    code: ErrorCode,
    /// What is wrong and what would be right, for people.
    message: String,
    /// The path of the input it is about, from the mutation's arguments down; empty when it is about the whole.
    field: Vec<String>,
}

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        let code = match problem.code {
            Code::NotFound => ErrorCode::NotFound,
            Code::AlreadyExists => ErrorCode::AlreadyExists,
            Code::IllegalTransition => ErrorCode::IllegalTransition,
            Code::ProductNotAvailable => ErrorCode::ProductNotAvailable,
            Code::InsufficientStock => ErrorCode::InsufficientStock,
            Code::PriceChanged => ErrorCode::PriceChanged,
            Code::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
            Code::PaymentFailed => ErrorCode::PaymentFailed,
            Code::InvalidCredentials => ErrorCode::InvalidCredentials,
            Code::VersionConflict => ErrorCode::VersionConflict,
            _ => ErrorCode::ValidationError,
        };
        Self { code, message: problem.message, field: problem.field }
    }
}

/// What came of a mutation: the thing, or the problems. What its caller cannot put right is an error.
///
/// # Errors
/// When nobody is signed in, the caller may not, tries too often, or it is our fault.
pub fn settle<T>(outcome: Result<T>) -> Result<(Option<T>, Vec<UserError>)> {
    let why = match outcome {
        Ok(made) => return Ok((Some(made), Vec::new())),
        Err(why) => why,
    };
    let beyond = [Code::Unauthenticated, Code::Forbidden, Code::RateLimited, Code::QueryTooComplex, Code::Unavailable];
    if beyond.contains(&why.public().code) {
        return Err(why);
    }
    let problems = base::Error::problems(why)?;
    Ok((None, problems.into_iter().map(UserError::from).collect()))
}

/// Declares a payload: the thing, and what is wrong.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $ty:ty }) => {
        $(#[$doc])*
        #[derive(Debug, async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            $field: Option<$ty>,
            /// What the caller can put right; empty when all went well.
            user_errors: Vec<$crate::graphql::payload::UserError>,
        }

        impl $name {
            /// What came of it.
            ///
            /// # Errors
            /// When the caller cannot put it right.
            pub fn settle(outcome: $crate::base::Result<impl Into<$ty>>) -> $crate::base::Result<Self> {
                let ($field, user_errors) = $crate::graphql::payload::settle(outcome)?;
                Ok(Self { $field: $field.map(Into::into), user_errors })
            }
        }
    };
}
pub(crate) use payload;
