//! Domain events of accounts. They contain ids only; handlers read the current rows.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

/// Event: a customer account was created.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerRegistered {
    /// ID of the account.
    pub customer: i64,
}

impl Event for CustomerRegistered {
    const KIND: &'static str = "CustomerRegistered";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Event: a customer, or one of their addresses, was changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerUpdated {
    /// ID of the account.
    pub customer: i64,
}

impl Event for CustomerUpdated {
    const KIND: &'static str = "CustomerUpdated";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Event: the personal data of a customer was erased.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerDeleted {
    /// ID of the account.
    pub customer: i64,
}

impl Event for CustomerDeleted {
    const KIND: &'static str = "CustomerDeleted";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}
