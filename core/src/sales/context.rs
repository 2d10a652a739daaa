//! Dependencies of the sales use cases in a request.

use std::sync::Arc;

use crate::{
    catalog::CategoryTree,
    identity::Caller,
    infra::{Config, Db, RequestThrottle},
    payment::PaymentProviders,
};

/// Dependencies of the sales use cases in a request.
#[derive(Debug, Clone)]
pub struct SalesContext<'a> {
    /// Database view of the request.
    pub db: &'a Db,
    /// Settings.
    pub config: &'a Config,
    /// Payment providers.
    pub payment_providers: &'a PaymentProviders,
    /// Rate limits of the request.
    pub throttle: RequestThrottle<'a>,
    /// Caller.
    pub caller: Caller,
    /// Category tree, for tax rates.
    pub category_tree: Arc<CategoryTree>,
}
