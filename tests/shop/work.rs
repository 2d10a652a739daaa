//! What a shop does after changes, done when a story wants it.

use std::sync::Arc;

use savannah::infra::{Db, Env, jobs::Worker};

use super::Shop;

impl Shop {
    /// What a job may reach for.
    pub fn env(&self) -> Env {
        Env::open(self.db.clone(), Arc::new(self.app.shared.config.clone())).expect("a world")
    }

    /// Another process of this shop's, as far as the database and its bell can tell.
    pub async fn another(&self) -> Env {
        let config = self.app.shared.config.clone();
        let db = Db::open(&config.database, self.clock.clone()).await.expect("a database");
        Env::open(db, Arc::new(config)).expect("a world")
    }

    /// A worker of this shop's.
    pub async fn worker(&self) -> Worker {
        let worker = Worker::open(self.env(), Arc::clone(&self.wiring)).await;
        worker.unwrap_or_else(|why| panic!("no worker: {}", why.log()))
    }

    /// Does everything that waits and is due by the shop's clock, until nothing is left; how much that was.
    pub async fn work(&self) -> u64 {
        self.worker().await.drain().await.unwrap_or_else(|why| panic!("the work stopped: {}", why.log()))
    }
}
