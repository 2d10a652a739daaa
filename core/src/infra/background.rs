//! CPU-bound computations on dedicated low-priority threads.

use std::{io, sync::LazyLock};

use tokio::runtime::{Builder, Runtime};

use crate::base::{Error, Result};

/// The runtime: one thread per two cores.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(thread_count())
        .thread_name("background")
        .on_thread_start(lower_priority)
        .build()
});

/// Returns the number of background threads.
#[must_use]
pub fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).div_ceil(2)
}

/// The niceness of the threads: half of the range below normal priority.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// On Linux priorities are per thread; without a process id the calling thread is meant.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "could not lower the priority of a background thread");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

/// Runs a computation on a background thread. It continues if the caller is canceled. Panics are propagated to the
/// caller.
///
/// # Errors
/// Returns an internal error if the threads cannot be created or the process is shutting down.
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let operation = "computing in the background";
    let runtime = RUNTIME.as_ref().map_err(|error| Error::internal(operation, error.to_string()))?;
    match runtime.spawn(async move { work() }).await {
        Ok(value) => Ok(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::internal(operation, error)),
        },
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn background_threads_have_a_lower_priority() {
        let priority = || rustix::process::getpriority_process(None).expect("a priority");
        let background = super::compute(priority).await.expect("a value");
        assert!(background > priority(), "{background}");
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn panic_of_the_work_is_the_callers() {
        let _ = super::compute(|| panic!("on purpose")).await;
    }
}
