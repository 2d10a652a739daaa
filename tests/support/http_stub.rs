//! HTTP server of a stub.

use axum::{Router, handler::Handler};

/// A server on a free port; stopped on drop.
pub struct StubServer {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl StubServer {
    /// Starts a server that answers every request with this handler.
    pub async fn start<T: 'static>(handler: impl Handler<T, ()>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("a service") });
        Self { url, task }
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
