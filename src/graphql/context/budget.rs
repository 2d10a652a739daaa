//! Budgets of a request: concurrent expensive reads, values of the response, and operations allowed once.

use std::sync::{Arc, atomic::Ordering};

use async_graphql::Context;
use tracing::Instrument;

use super::RequestContext;
use crate::{
    base::{Error, Result},
    graphql::batched::Selection,
    infra::Db,
};

impl RequestContext {
    /// Runs an expensive read under a concurrency limit. It runs in its own task, which keeps the permit until the read
    /// completes: a client that disconnects does not free capacity early.
    pub async fn run_expensive_read<T, F>(&self, read: impl FnOnce(Db) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        // The batch executor waits while the request is busy; this read counts as busy.
        let busy_guard = self.query_stats.track_busy();
        let permits = Arc::clone(&self.app_state.expensive_reads);
        let permit =
            permits.acquire_owned().await.map_err(|error| Error::internal("waiting for an expensive read", error))?;
        let read = read(self.db.clone());
        let task = async move {
            let outcome = read.await;
            drop((busy_guard, permit));
            outcome
        };
        let outcome = tokio::spawn(task.in_current_span()).await;
        outcome.unwrap_or_else(|error| Err(Error::internal("running an expensive read", error)))
    }

    /// Records that the request exports a customer's data, which is allowed once per request.
    ///
    /// # Errors
    /// Returns `QueryTooComplex` if the request has already exported it.
    pub fn start_customer_export(&self) -> Result<()> {
        if self.customer_exported.swap(true, Ordering::Relaxed) {
            return Err(Error::too_complex("`customerExport` can be selected only once per request"));
        }
        Ok(())
    }

    /// Charges an unpaginated list to the request's value budget before it is built: length times selected values per
    /// element.
    ///
    /// # Errors
    /// Returns `QueryTooComplex` if the response would exceed the limit.
    pub fn charge_list_values(&self, ctx: &Context<'_>, length: usize) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.charge_values(length.saturating_mul(Selection::of_field(ctx).value_count()))
    }

    /// Charges values to the request's budget.
    ///
    /// # Errors
    /// Returns `QueryTooComplex` if the response would exceed the limit.
    pub fn charge_values(&self, count: usize) -> Result<()> {
        let subtract = |remaining: usize| remaining.checked_sub(count);
        if self.remaining_values.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract).is_ok() {
            return Ok(());
        }
        let max_values = self.app_state.config.graphql.max_response_values;
        let message =
            format!("the response would contain more than {max_values} values; select fewer levels or fields");
        Err(Error::too_complex(message))
    }

    /// Records that the request places an order. Without a permission it places at most one.
    ///
    /// # Errors
    /// Returns `QueryTooComplex` for a second order.
    pub fn start_checkout(&self) -> Result<()> {
        if !self.caller.has_permissions() && self.checkout_started.swap(true, Ordering::Relaxed) {
            return Err(Error::too_complex("One request can place at most one order."));
        }
        Ok(())
    }
}
