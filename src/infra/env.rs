//! What a job or a schedule may reach for.

use std::sync::Arc;

use super::{Client, Config, Db, Mail, Sms};

/// The world outside of one piece of work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Env {
    /// The database.
    pub db: Db,
    /// The settings.
    pub config: Arc<Config>,
    /// What sends letters.
    pub mail: Mail,
    /// What sends short messages.
    pub sms: Sms,
}

impl Env {
    /// Everything that these settings name, on a database that is ready.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(db: Db, config: Arc<Config>) -> Result<Self, String> {
        let mail = Mail::new(&config)?;
        let sms = Sms::new(&config, &Client::new()?)?;
        Ok(Self { db, config, mail, sms })
    }
}
