//! Those who move money for the shop, behind one interface. Each call may come again with the same key, and moves money
//! once; an answer may also come later, by another way.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::manual::Manual;
use crate::base::{Error, Result};

/// What is asked of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The same for the same request, however often it is sent: `payment-7`, `refund-3`.
    pub key: String,
    /// What the provider knows the payment by, once it has said so.
    pub reference: Option<String>,
    /// The order's number, for what the buyer reads.
    pub order: String,
    /// How much, in minor units.
    pub amount: i64,
    /// Of which currency (ISO 4217).
    pub currency: String,
    /// The buyer's telephone number, for money on phones.
    pub phone: Option<String>,
    /// The buyer's e-mail address.
    pub email: Option<String>,
}

/// What a provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The money is promised, and can be taken.
    Authorised {
        /// What the provider knows the payment by.
        reference: String,
    },
    /// It is done: the money was taken, or given back.
    Done {
        /// What the provider knows it by.
        reference: String,
    },
    /// The buyer has to do something first; the answer comes later.
    Later {
        /// What the provider knows the payment by, if it has said so.
        reference: Option<String>,
        /// Where the buyer goes on.
        action_url: Option<String>,
    },
    /// No.
    Refused {
        /// Why, for the buyer.
        why: String,
    },
    /// Nobody knows whether it was done: ask again, with the same key.
    Unknown {
        /// Why, for the log.
        why: String,
    },
}

/// Somebody who moves money.
pub trait Provider: fmt::Debug + Send + Sync {
    /// As the API and the database call it: lasting.
    fn name(&self) -> &'static str;

    /// Whether it answers by itself, at once and always: then it is asked within the order's own transaction.
    fn is_local(&self) -> bool {
        false
    }

    /// Promises money.
    fn authorise(&self, ask: Ask) -> BoxFuture<'_, Answer>;

    /// Takes what was promised.
    fn capture(&self, ask: Ask) -> BoxFuture<'_, Answer>;

    /// Gives back what was taken.
    fn refund(&self, ask: Ask) -> BoxFuture<'_, Answer>;

    /// Lets go of what was promised.
    fn void(&self, ask: Ask) -> BoxFuture<'_, Answer>;
}

/// All that a shop has.
#[derive(Debug, Clone)]
pub struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Default for Providers {
    /// Money that people hand over: every shop can take that.
    fn default() -> Self {
        Self(BTreeMap::new()).with(Arc::new(Manual))
    }
}

impl Providers {
    /// One more.
    #[must_use]
    pub fn with(mut self, one: Arc<dyn Provider>) -> Self {
        self.0.insert(one.name(), one);
        self
    }

    /// Returns the one that a buyer has chosen, of those that the shop allows.
    ///
    /// # Errors
    /// When there is none, or it is not allowed.
    pub fn chosen(&self, name: &str, (allowed, field): (&[String], &str)) -> Result<&Arc<dyn Provider>> {
        let is_allowed = |name: &str| allowed.iter().any(|one| one == name);
        self.0.get(name).filter(|one| is_allowed(one.name())).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().copied().filter(|name| is_allowed(name)).collect();
            Error::bad_input(field, format!("this shop cannot be paid so; it takes: {}", names.join(", ")))
        })
    }

    /// The one that a payment was made with.
    ///
    /// # Errors
    /// When the shop has it no more.
    pub fn of(&self, name: &str) -> Result<&Arc<dyn Provider>> {
        self.0.get(name).ok_or_else(|| Error::fault("finding a payment's provider", "the shop has it no more"))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
