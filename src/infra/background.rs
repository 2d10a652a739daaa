//! Computations that take a processor for milliseconds: on threads of their own, after everything else that wants one.

use std::{io, sync::LazyLock};

use tokio::runtime::{Builder, Runtime};

use crate::base::{Error, Result};

/// One thread for every second core.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2))
        .thread_name("background")
        .on_thread_start(lower_priority)
        .build()
});

/// How much less urgent these threads are to the operating system: half of the range below the ordinary.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// On Linux a thread has a priority of its own, and without a process id its caller's is meant.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the priority of a background thread was not lowered");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

/// Computes on a background thread. It goes on when nobody waits for it any more. A panic is the caller's.
///
/// # Errors
/// When there are no threads, or the process is ending.
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let doing = "computing in the background";
    let runtime = RUNTIME.as_ref().map_err(|error| Error::fault(doing, error.to_string()))?;
    match runtime.spawn(async move { work() }).await {
        Ok(value) => Ok(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::fault(doing, error)),
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
