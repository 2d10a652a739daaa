//! Background jobs, run on demand by tests.

use std::sync::Arc;

use savannah::{
    graphql::webhook::create_payload_renderer,
    infra::{
        Db, JobContext,
        jobs::{JobRegistry, Worker},
    },
    job_registry,
};

use super::TestApp;

impl TestApp {
    /// Builds the application's registry.
    pub fn build_job_registry(&self) -> JobRegistry {
        let state = &self.http_app.state;
        job_registry::build_job_registry(&state.payment_providers, &state.media, create_payload_renderer(state))
    }

    /// Creates a job context.
    pub fn job_context(&self) -> JobContext {
        self.job_context_on(self.db.clone())
    }

    /// Creates a job context with its own database connection, as another process would.
    pub async fn open_second_job_context(&self) -> JobContext {
        let config = &self.http_app.state.config;
        self.job_context_on(Db::connect(&config.database, self.clock.clone()).await.expect("a database"))
    }

    fn job_context_on(&self, db: Db) -> JobContext {
        let state = &self.http_app.state;
        let config = Arc::new(state.config.clone());
        JobContext::new(db, state.redis.clone(), config, &state.http_client).expect("a job context")
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
