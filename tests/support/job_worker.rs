//! Background jobs, run on demand by tests.

use std::sync::Arc;

use savannah::infra::{Db, JobContext, jobs::Worker};

use super::TestApp;

impl TestApp {
    /// Creates a job context.
    pub fn job_context(&self) -> JobContext {
        let state = &self.http_app.state;
        JobContext::new(self.db.clone(), state.redis.clone(), Arc::new(state.config.clone())).expect("a job context")
    }

    /// Creates a job context with its own database connection, as another process would.
    pub async fn open_second_job_context(&self) -> JobContext {
        let config = self.http_app.state.config.clone();
        let db = Db::connect(&config.database, self.clock.clone()).await.expect("a database");
        JobContext::new(db, self.http_app.state.redis.clone(), Arc::new(config)).expect("a job context")
    }

    /// Creates a worker.
    pub async fn create_worker(&self) -> Worker {
        let worker = Worker::create(self.job_context(), Arc::clone(&self.job_registry)).await;
        worker.unwrap_or_else(|error| panic!("no worker: {}", error.log_message()))
    }

    /// Runs all jobs that are due until none is left. Returns their number.
    pub async fn drain_jobs(&self) -> u64 {
        self.create_worker()
            .await
            .run_until_idle()
            .await
            .unwrap_or_else(|error| panic!("jobs failed: {}", error.log_message()))
    }
}
