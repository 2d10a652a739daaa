//! One error, two kinds: what a caller can put right, and what is our fault.

use std::{error::Error as StdError, fmt, sync::Arc};

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
///
/// It has no `Display` on purpose: a fault must never reach an answer by being formatted. Ask [`Error::public`] for
/// what a caller may read, [`Error::log`] for what an operator should.
#[derive(Debug, Clone)]
pub enum Error {
    /// The caller can put it right.
    User(Problem),
    /// The caller can put it right, and all of it at once. Never empty.
    Many(Vec<Problem>),
    /// The caller, or somebody like them, did it too often: it may be tried again after so many seconds.
    RateLimited {
        /// Seconds.
        retry_after: u64,
    },
    /// Ours: logged once at the edge and never shown.
    Fault(Fault),
}

/// What a caller did that cannot be, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For programs.
    pub code: Code,
    /// The path of the input it is about; empty when it is about the whole.
    pub field: Vec<String>,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

/// The kinds of problem, as programs know them (`extensions.code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// An argument that cannot be.
    BadUserInput,
    /// What is to be changed is not there, or not the caller's.
    NotFound,
    /// There may be only one such thing, and it is there.
    AlreadyExists,
    /// It has been changed since the caller looked.
    VersionConflict,
    /// It may not go from where it stands to where it should.
    IllegalTransition,
    /// A product is not, or no longer, on sale.
    ProductNotAvailable,
    /// Fewer are left than are wanted.
    InsufficientStock,
    /// It costs something else than the caller expects.
    PriceChanged,
    /// The key was used before, for something else.
    IdempotencyMismatch,
    /// The payment was refused.
    PaymentFailed,
    /// The e-mail address and the password do not belong together.
    InvalidCredentials,
    /// Nobody is signed in, or what was shown for it does not hold.
    Unauthenticated,
    /// Whoever is signed in may not do that.
    Forbidden,
    /// Too many tries.
    RateLimited,
    /// More than one request may ask for.
    QueryTooComplex,
    /// Too busy, or cut off from the database, just now.
    Unavailable,
    /// Our fault.
    Internal,
}

impl Code {
    /// The word that travels.
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
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// Something that broke, with what it was doing.
#[derive(Debug, Clone)]
pub struct Fault {
    doing: &'static str,
    cause: Arc<dyn StdError + Send + Sync>,
}

impl Error {
    /// What a caller can put right: `field` is the path of what it is about, empty when that is the whole.
    pub fn user(code: Code, field: &str, message: impl Into<String>) -> Self {
        let field = field.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self::User(Problem { code, field, message: message.into() })
    }

    /// An argument that cannot be: `field` is its path.
    pub fn bad_input(field: &str, message: impl Into<String>) -> Self {
        Self::user(Code::BadUserInput, field, message)
    }

    /// More work than one request may cause.
    pub fn too_complex(message: impl Into<String>) -> Self {
        Self::user(Code::QueryTooComplex, "", message)
    }

    /// What is to be changed is not there, or not the caller's to see.
    #[must_use]
    pub fn not_found(field: &str, what: &str) -> Self {
        Self::user(Code::NotFound, field, format!("there is no such {what}"))
    }

    /// Everything that is wrong with an input, if anything is.
    ///
    /// # Errors
    /// When there are problems.
    pub fn all(mut problems: Vec<Problem>) -> Result<()> {
        match problems.len() {
            0 => Ok(()),
            1 => Err(Self::User(problems.remove(0))),
            _ => Err(Self::Many(problems)),
        }
    }

    /// What a caller can put right; what they can only wait for, and a fault, comes back as it is.
    ///
    /// # Errors
    /// When it is our fault, or the caller's only by its number.
    pub fn problems(self) -> Result<Vec<Problem>> {
        match self {
            Self::User(problem) => Ok(vec![problem]),
            Self::Many(problems) => Ok(problems),
            other @ (Self::RateLimited { .. } | Self::Fault(_)) => Err(other),
        }
    }

    /// Our fault, with what was being done.
    pub fn fault(doing: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Fault(Fault { doing, cause: Arc::from(cause.into()) })
    }

    /// What the caller may know.
    #[must_use]
    pub fn public(&self) -> Problem {
        match self {
            Self::User(problem) => problem.clone(),
            Self::Many(problems) => problems.first().cloned().unwrap_or(Problem {
                code: Code::BadUserInput,
                field: Vec::new(),
                message: "The input cannot be.".into(),
            }),
            Self::RateLimited { retry_after } => Problem {
                code: Code::RateLimited,
                field: Vec::new(),
                message: format!("Too many attempts; try again in {retry_after} s."),
            },
            Self::Fault(fault) if fault.is_outage() => Problem {
                code: Code::Unavailable,
                field: Vec::new(),
                message: "The shop cannot answer just now; please try again in a few seconds.".into(),
            },
            Self::Fault(_) => {
                Problem { code: Code::Internal, field: Vec::new(), message: "Something went wrong on our side.".into() }
            }
        }
    }

    /// The whole story in one line, for logs and terminals.
    #[must_use]
    pub fn log(&self) -> String {
        match self {
            Self::User(problem) => problem.to_string(),
            Self::Many(problems) => problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "),
            Self::RateLimited { .. } => self.public().to_string(),
            Self::Fault(fault) => fault.to_string(),
        }
    }

    /// Whether the database refused a row because another one like it is there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let Self::Fault(fault) = self else { return false };
        let cause = fault.cause.downcast_ref::<DbErr>();
        matches!(cause.and_then(DbErr::sql_err), Some(SqlErr::UniqueConstraintViolation(_)))
    }

    /// Whether the database ended the transaction because it and others waited for each other.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        let Self::Fault(fault) = self else { return false };
        let cause = fault.cause.downcast_ref::<DbErr>().and_then(database_code);
        // deadlock_detected, serialization_failure
        matches!(cause, Some(DatabaseCode::Postgres(code)) if code == "40P01" || code == "40001")
    }
}

/// The code by which a database names an error.
enum DatabaseCode {
    /// SQLSTATE, five characters.
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

fn database_code(error: &DbErr) -> Option<DatabaseCode> {
    let error = driver_error(error)?.as_database_error()?;
    let code = error.code()?;
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The extended code has the primary one in its lowest byte.
        return code.parse::<u32>().ok().map(|code| DatabaseCode::Sqlite(code & 0xff));
    }
    Some(DatabaseCode::Postgres(code.into_owned()))
}

/// Whether the connection to the database was lost, so that another one may do the same.
#[must_use]
pub fn is_connection_lost(error: &DbErr) -> bool {
    if let Some(DatabaseCode::Postgres(code)) = database_code(error) {
        return is_lost_by(&code);
    }
    // A message that was cut off in the middle is a protocol error.
    matches!(driver_error(error), Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed))
}

/// Whether this SQLSTATE says that the session has ended: connection exceptions, the server was stopped or is starting,
/// the session or its transaction was idle for too long.
fn is_lost_by(code: &str) -> bool {
    code.starts_with("08") || ["57P01", "57P02", "57P03", "57P05", "25P03"].contains(&code)
}

/// Whether this SQLSTATE says that the same statement may succeed later, other than by a lost connection.
fn is_passing(code: &str) -> bool {
    // Insufficient resources (a full disk, no memory, too many connections), errors of the system below.
    let classes = ["53", "58"];
    // A statement or lock that took too long, deadlocks, a server that has become a standby.
    let codes = ["57014", "55P03", "40P01", "40001", "25006"];
    classes.iter().any(|class| code.starts_with(class)) || codes.contains(&code)
}

/// The same for the primary result codes of SQLite: BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN.
fn is_passing_sqlite(code: u32) -> bool {
    [5, 6, 7, 9, 10, 13, 14].contains(&code)
}

/// Whether the database cannot do it just now, so that trying again may help.
fn is_outage(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) || is_connection_lost(error) {
        return true;
    }
    match database_code(error) {
        Some(DatabaseCode::Postgres(code)) => is_passing(&code),
        Some(DatabaseCode::Sqlite(code)) => is_passing_sqlite(code),
        None => matches!(driver_error(error), Some(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field.join("."))?;
        }
        f.write_str(&self.message)
    }
}

impl Fault {
    /// Whether trying again may help.
    fn is_outage(&self) -> bool {
        self.cause.downcast_ref::<DbErr>().is_some_and(is_outage)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)?;
        let mut cause = self.cause.source();
        while let Some(deeper) = cause {
            write!(f, ": {deeper}")?;
            cause = deeper.source();
        }
        Ok(())
    }
}

/// Why a statement was not run: its request has used up its budget. Travels as an error of the database, because a
/// statement has no other.
#[derive(Debug)]
pub struct BudgetExceeded(pub String);

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for BudgetExceeded {}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let DbErr::Query(sea_orm::RuntimeErr::SqlxError(cause)) = &error
            && let sqlx::Error::AnyDriverError(cause) = &**cause
            && let Some(BudgetExceeded(message)) = cause.downcast_ref()
        {
            return Self::too_complex(message);
        }
        Self::fault("asking the database", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_that_pass_are_told_from_those_that_do_not() {
        for code in ["08006", "08P01", "57P01", "57P02", "57P03", "25P03"] {
            assert!(is_lost_by(code), "{code}");
        }
        for code in ["57014", "55P03", "40P01", "40001", "53100", "53300", "58030", "25006"] {
            assert!(is_passing(code) && !is_lost_by(code), "{code}");
        }
        for code in ["23505", "42601", "25P02", "22003", "XX000"] {
            assert!(!is_passing(code) && !is_lost_by(code), "{code}");
        }
    }

    #[test]
    fn sqlite_codes_that_pass_are_told_from_those_that_do_not() {
        assert!([5, 10, 13].into_iter().all(is_passing_sqlite));
        assert!(![1, 8, 19].into_iter().any(is_passing_sqlite));
    }

    #[test]
    fn broken_connections_are_unavailable_and_other_faults_internal() {
        let cut = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let driver = |error: sqlx::Error| RuntimeErr::SqlxError(Arc::new(error));
        let outages = [
            DbErr::Query(driver(sqlx::Error::Io(cut()))),
            DbErr::Exec(driver(sqlx::Error::Io(cut()))),
            DbErr::Query(driver(sqlx::Error::PoolTimedOut)),
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
        ];
        for error in outages {
            assert_eq!(Error::from(error).public().code, Code::Unavailable);
        }
        let broken = [DbErr::Custom("x".into()), DbErr::Query(driver(sqlx::Error::RowNotFound))];
        for error in broken {
            assert_eq!(Error::from(error).public().code, Code::Internal);
        }
    }
}
