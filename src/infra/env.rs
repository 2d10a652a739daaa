//! What a job or a schedule may reach for.

use std::sync::Arc;

use super::{Config, Db};

/// The world outside of one piece of work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Env {
    /// The database.
    pub db: Db,
    /// The settings.
    pub config: Arc<Config>,
}

impl Env {
    /// Everything that these settings name, on a database that is ready.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(db: Db, config: Arc<Config>) -> Result<Self, String> {
        Ok(Self { db, config })
    }
}
