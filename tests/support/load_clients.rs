//! Load clients against servers of the sandbox; whatever fails ends the test.

use savannah::prove::{AcknowledgedOrder, LoadCatalog, LoadClients as Clients};

use super::RunningProcess;

/// Concurrent load clients: buyers, and staff who process some of the orders.
pub struct LoadClients(Clients);

impl LoadClients {
    /// Spawns buyers that start with the first endpoint; staff mutations use this token.
    pub fn spawn(buyers: usize, catalog: &LoadCatalog, staff: &str) -> Self {
        Self(Clients::spawn(buyers, catalog, staff).expect("clients"))
    }

    /// Adds an endpoint.
    pub fn add_endpoint(&mut self, slot: usize, server: &RunningProcess) {
        self.0.add_endpoint(slot, &server.address);
    }

    /// Removes an endpoint.
    pub fn remove_endpoint(&self, slot: usize) {
        self.0.remove_endpoint(slot);
    }

    /// Waits until this many more orders are acknowledged.
    pub async fn wait_for_orders(&mut self, more: u32) {
        self.0.wait_for_orders(more).await.expect("orders in time");
    }

    /// Stops the clients after their current request. Returns all acknowledged orders, sorted.
    pub async fn stop_and_collect(self) -> Vec<AcknowledgedOrder> {
        self.0.stop_and_collect().await.unwrap_or_else(|error| panic!("{error}"))
    }
}
