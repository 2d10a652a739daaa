//! The error type: user errors, and internal errors that are never shown.

use std::{error::Error as StdError, fmt, iter, sync::Arc};

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// The result type of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of an operation.
///
/// Formatted, it is the message for the caller: an internal error must not reach a response by being formatted. Logs use
/// [`Error::log_message`], which names the cause.
#[derive(Debug, Clone)]
pub enum Error {
    /// An error that the caller can correct.
    User(PublicError),
    /// Several errors that the caller can correct. Never empty.
    UserErrors(Vec<PublicError>),
    /// The caller, or another caller of the same network or account, reached a rate limit.
    RateLimited {
        /// Seconds until the next attempt is allowed.
        retry_after: u64,
    },
    /// An internal error: logged once at the edge and never shown.
    Internal(InternalError),
}

/// A user error with the input path it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    /// The machine-readable code.
    pub code: PublicErrorCode,
    /// The path of the input field; empty if the error concerns the whole request.
    pub field: Vec<String>,
    /// The human-readable message: what is wrong and what is expected.
    pub message: String,
    /// Values of the message, for clients that do not parse it.
    pub facts: ErrorFacts,
}

/// Values that the message of a user error states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The primary key of the variant concerned.
    pub variant_id: Option<i64>,
    /// The available quantity of the variant.
    pub available: Option<i64>,
    /// The limit that was exceeded.
    pub limit: Option<i64>,
}

impl PublicError {
    /// Creates an error without facts; `path` is the dot-separated input path, empty for the whole request.
    pub fn new(code: PublicErrorCode, path: &str, message: impl Into<String>) -> Self {
        let field = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { code, field, message: message.into(), facts: ErrorFacts::default() }
    }

    /// Sets the facts.
    #[must_use]
    pub fn with_facts(self, facts: ErrorFacts) -> Self {
        Self { facts, ..self }
    }
}

/// The error codes of the API (`extensions.code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicErrorCode {
    /// An argument is invalid.
    BadUserInput,
    /// The entity does not exist or is not visible to the caller.
    NotFound,
    /// An entity with the same unique value exists.
    AlreadyExists,
    /// The entity was changed since the caller read it.
    VersionConflict,
    /// The state machine does not allow the transition.
    IllegalTransition,
    /// The product is not on sale.
    ProductNotAvailable,
    /// Fewer units are available than requested.
    InsufficientStock,
    /// The price differs from the one the caller expects.
    PriceChanged,
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// A request with the same idempotency key is being executed.
    IdempotencyConflict,
    /// The payment was declined.
    PaymentFailed,
    /// Email or password is wrong.
    InvalidCredentials,
    /// The request is anonymous, or its credentials are invalid.
    Unauthenticated,
    /// The caller lacks the permission.
    Forbidden,
    /// A rate limit was reached.
    RateLimited,
    /// The request exceeds a limit of complexity or size.
    QueryTooComplex,
    /// The events after a cursor are no longer available; the current state must be loaded.
    CursorExpired,
    /// The server is overloaded or cannot reach the database.
    Unavailable,
    /// The request took longer than its limit.
    Timeout,
    /// An internal error.
    Internal,
}

impl PublicErrorCode {
    /// Returns the code as sent to clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::IllegalTransition => "ILLEGAL_TRANSITION",
            Self::ProductNotAvailable => "PRODUCT_NOT_AVAILABLE",
            Self::InsufficientStock => "INSUFFICIENT_STOCK",
            Self::PriceChanged => "PRICE_CHANGED",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An internal error with the operation that failed. Its message includes all causes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation}: {}", format_error_chain(&**cause))]
pub struct InternalError {
    operation: &'static str,
    cause: Arc<dyn StdError + Send + Sync>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_public_error().message)
    }
}

impl Error {
    /// Creates a user error; `field` is the input path, empty for the whole request.
    pub fn user(code: PublicErrorCode, field: &str, message: impl Into<String>) -> Self {
        Self::User(PublicError::new(code, field, message))
    }

    /// Creates a `BadUserInput` error; `field` is the input path.
    pub fn bad_input(field: &str, message: impl Into<String>) -> Self {
        Self::user(PublicErrorCode::BadUserInput, field, message)
    }

    /// Creates a `QueryTooComplex` error.
    pub fn too_complex(message: impl Into<String>) -> Self {
        Self::user(PublicErrorCode::QueryTooComplex, "", message)
    }

    /// Creates a `NotFound` error for an entity that does not exist or is not visible to the caller.
    #[must_use]
    pub fn not_found(field: &str, entity_name: &str) -> Self {
        Self::user(PublicErrorCode::NotFound, field, format!("there is no such {entity_name}"))
    }

    /// Returns all validation errors of an input.
    ///
    /// # Errors
    /// Returns `User` or `UserErrors` if there are errors.
    pub fn fail_if_any(mut errors: Vec<PublicError>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(Self::User(errors.remove(0))),
            _ => Err(Self::UserErrors(errors)),
        }
    }

    /// Returns the user errors.
    ///
    /// # Errors
    /// Returns `RateLimited` and `Internal` errors unchanged.
    pub fn into_public_errors(self) -> Result<Vec<PublicError>> {
        match self {
            Self::User(error) => Ok(vec![error]),
            Self::UserErrors(errors) => Ok(errors),
            error @ (Self::RateLimited { .. } | Self::Internal(_)) => Err(error),
        }
    }

    /// Creates an internal error with the operation that failed.
    pub fn internal(operation: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(InternalError { operation, cause: Arc::from(cause.into()) })
    }

    /// Moves a user error to another input field.
    #[must_use]
    pub fn at_field(self, field: &str) -> Self {
        match self {
            Self::User(error) => Self::User(PublicError::new(error.code, field, error.message).with_facts(error.facts)),
            other => other,
        }
    }

    /// Returns what the caller may see.
    #[must_use]
    pub fn to_public_error(&self) -> PublicError {
        match self {
            Self::User(error) => error.clone(),
            Self::UserErrors(errors) => errors
                .first()
                .cloned()
                .unwrap_or_else(|| PublicError::new(PublicErrorCode::BadUserInput, "", "The input is invalid.")),
            Self::RateLimited { retry_after } => PublicError::new(
                PublicErrorCode::RateLimited,
                "",
                format!("Too many attempts; try again in {retry_after} s."),
            ),
            Self::Internal(error) if error.is_outage() => PublicError::new(
                PublicErrorCode::Unavailable,
                "",
                "The shop is temporarily unavailable; please try again in a few seconds.",
            ),
            Self::Internal(_) => PublicError::new(PublicErrorCode::Internal, "", "An internal error occurred."),
        }
    }

    /// Returns the full error in one line, for logs and terminals.
    #[must_use]
    pub fn log_message(&self) -> String {
        match self {
            Self::User(error) => error.to_string(),
            Self::UserErrors(errors) => errors.iter().map(PublicError::to_string).collect::<Vec<_>>().join("; "),
            Self::RateLimited { .. } => self.to_public_error().to_string(),
            Self::Internal(error) => error.to_string(),
        }
    }

    /// Returns whether the database reported a unique violation.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        let Self::Internal(internal) = self else { return false };
        let cause = internal.cause.downcast_ref::<DbErr>();
        matches!(cause.and_then(DbErr::sql_err), Some(SqlErr::UniqueConstraintViolation(_)))
    }

    /// Returns whether the database reported a unique violation of a column, which the constraint is named after.
    #[must_use]
    pub fn is_unique_violation_of(&self, column: &str) -> bool {
        let Self::Internal(internal) = self else { return false };
        let cause = internal.cause.downcast_ref::<DbErr>().and_then(DbErr::sql_err);
        matches!(cause, Some(SqlErr::UniqueConstraintViolation(message)) if message.contains(column))
    }

    /// Returns whether the database aborted the transaction because of a deadlock or serialization failure.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        let Self::Internal(internal) = self else { return false };
        let error_code = internal.cause.downcast_ref::<DbErr>().and_then(database_error_code);
        // deadlock_detected, serialization_failure
        matches!(error_code, Some(DatabaseErrorCode::Postgres(code)) if code == "40P01" || code == "40001")
    }
}

/// The error code of a database.
enum DatabaseErrorCode {
    /// The SQLSTATE, five characters.
    Postgres(String),
    /// The primary result code of SQLite.
    Sqlite(u32),
}

fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => Some(cause.as_ref()),
        _ => None,
    }
}

fn database_error_code(error: &DbErr) -> Option<DatabaseErrorCode> {
    let error = driver_error(error)?.as_database_error()?;
    let code = error.code()?;
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The lowest byte of the extended code is the primary code.
        return code.parse::<u32>().ok().map(|code| DatabaseErrorCode::Sqlite(code & 0xff));
    }
    Some(DatabaseErrorCode::Postgres(code.into_owned()))
}

/// Returns whether the connection to the database was lost, so that the statement can be retried on another one.
#[must_use]
pub fn is_connection_lost(error: &DbErr) -> bool {
    if let Some(DatabaseErrorCode::Postgres(code)) = database_error_code(error) {
        return is_connection_lost_code(&code);
    }
    // A truncated message is reported as a protocol error.
    matches!(driver_error(error), Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed))
}

/// Returns whether PostgreSQL canceled the statement, because it took longer than its limit.
#[must_use]
pub fn is_statement_timeout(error: &DbErr) -> bool {
    matches!(database_error_code(error), Some(DatabaseErrorCode::Postgres(code)) if code == "57014")
}

/// Returns whether PostgreSQL canceled the statement because of the locks of others: a timeout or a deadlock.
#[must_use]
pub fn is_lock_conflict(error: &DbErr) -> bool {
    let code = database_error_code(error);
    matches!(code, Some(DatabaseErrorCode::Postgres(code)) if code == "55P03" || code == "40P01")
}

/// Returns whether the SQLSTATE means that the session has ended: connection exceptions, a stopped or starting server,
/// an idle timeout of the session or transaction.
fn is_connection_lost_code(code: &str) -> bool {
    code.starts_with("08") || ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(&code)
}

/// Returns whether the SQLSTATE means that the statement may succeed later, lost connections excluded.
fn is_transient_code(code: &str) -> bool {
    // Insufficient resources (disk, memory, connections); system errors.
    let classes = ["53", "58"];
    // Statement and lock timeouts, deadlocks, a server that became a standby.
    let codes = ["57014", "55P03", "40P01", "40001", "25006"];
    classes.iter().any(|class| code.starts_with(class)) || codes.contains(&code)
}

/// Returns the same for SQLite's primary codes: BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN.
fn is_transient_sqlite_code(code: u32) -> bool {
    [5, 6, 7, 9, 10, 13, 14].contains(&code)
}

/// Returns whether the database is temporarily unable to run the statement, so that a retry may succeed.
fn is_outage(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_connection_lost(error) {
        return true;
    }
    match database_error_code(error) {
        Some(DatabaseErrorCode::Postgres(code)) => is_transient_code(&code),
        Some(DatabaseErrorCode::Sqlite(code)) => is_transient_sqlite_code(code),
        None => matches!(driver_error(error), Some(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)),
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field.join("."))?;
        }
        f.write_str(&self.message)
    }
}

impl InternalError {
    /// Returns whether a retry may succeed.
    fn is_outage(&self) -> bool {
        self.cause.downcast_ref::<DbErr>().is_some_and(is_outage)
    }
}

/// Formats an error with its causes in one line.
#[must_use]
pub fn format_error_chain(error: &dyn StdError) -> String {
    let causes = iter::successors(Some(error), |error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The request's database budget is exhausted. It is passed as a database error, because statements return no other
/// error type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BudgetExceeded(pub String);

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let DbErr::Query(sea_orm::RuntimeErr::SqlxError(cause)) = &error
            && let sqlx::Error::AnyDriverError(cause) = &**cause
            && let Some(BudgetExceeded(message)) = cause.downcast_ref()
        {
            return Self::too_complex(message);
        }
        Self::internal("running a database statement", error)
    }
}

#[cfg(test)]
mod tests;
