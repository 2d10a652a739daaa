//! With `SAVANNAH_TEST_TWO_INSTANCES`, tests on PostgreSQL run against two instances that share Redis: each GraphQL request
//! goes to the other one than the last. What an instance reads every second, it reads before each request, because tests
//! do not wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use savannah::payment::PaymentProviders;

use super::{TestApp, TestDatabase, shared_redis_url};

/// The second instance of a test.
pub struct OtherInstance {
    app: Box<TestApp>,
    request_count: AtomicUsize,
}

impl TestApp {
    /// Starts a server, or two if the tests run against two.
    pub(super) async fn start_instances(
        database: TestDatabase,
        settings: &[(&str, &str)],
        providers: Option<PaymentProviders>,
    ) -> Self {
        let redis_url = shared_redis_url().filter(|_| database.url().starts_with("postgres"));
        let redis_url = redis_url.filter(|_| std::env::var_os("SAVANNAH_TEST_TWO_INSTANCES").is_some());
        let redis_setting = redis_url.as_deref().map(|url| ("REDIS_URL", url));
        let settings: Vec<_> = redis_setting.into_iter().chain(settings.iter().copied()).collect();
        let mut app = Self::start_on_database(database, Self::fixed_clock(), &settings, providers.clone()).await;
        if redis_setting.is_some() {
            let other = Self::start_on_database(app.database.clone(), app.clock.clone(), &settings, providers).await;
            app.other_instance = Some(OtherInstance { app: Box::new(other), request_count: AtomicUsize::default() });
        }
        app
    }

    /// Returns the URL of the instance for the next GraphQL request.
    pub(super) async fn select_instance(&self) -> String {
        let Some(OtherInstance { app, request_count }) = &self.other_instance else { return self.url("/graphql") };
        let instance = if request_count.fetch_add(1, Ordering::Relaxed) % 2 == 1 { app } else { self };
        instance.http_app.refresh().await.expect("refreshed state");
        instance.url("/graphql")
    }
}
