//! Threads of low priority that decode and encode pictures: few at a time, so that their memory is bounded and requests
//! are not slowed.

use std::sync::Arc;

#[cfg(target_os = "linux")]
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::{Semaphore, oneshot};

use crate::base::{Error, Result};

/// Runs work on pictures.
#[derive(Debug, Clone)]
pub struct PictureProcessor {
    permits: Arc<Semaphore>,
}

impl PictureProcessor {
    /// Creates a processor that works on `concurrency` pictures at the same time.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(concurrency)) }
    }

    /// Runs work on a thread of its own when a permit is free. The work keeps the permit until it ends, also if nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// Returns an internal error if no thread can be started or the work panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Error::internal("waiting to decode a picture", error))?;
        let (sender, receiver) = oneshot::channel();
        // Not one of the runtime's threads: its priority stays low.
        let thread = std::thread::Builder::new().name("picture".to_owned()).spawn(move || {
            lower_priority();
            let outcome = work();
            drop(permit);
            // Nobody may be waiting any more.
            let _ = sender.send(outcome);
        });
        thread.map_err(|error| Error::internal("starting a thread for a picture", error))?;
        receiver.await.map_err(|error| Error::internal("decoding a picture", error))
    }
}

/// Lowers the priority of the calling thread: it runs where no other thread wants to, and a thread that is woken takes its
/// core at once. With the lowest niceness alone, requests would still wait for their turn.
#[cfg(target_os = "linux")]
fn lower_priority() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let outcome = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    // Without it the work is only less polite.
    if let Err(error) = outcome {
        tracing::debug!(%error, "the priority of a thread could not be lowered");
    }
}

#[cfg(not(target_os = "linux"))]
const fn lower_priority() {}
