//! Periodic tasks of a process, and its shutdown signals.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Result;

/// Interval of periodic tasks.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a task every second until the shutdown. A run that has begun is completed.
pub(super) async fn run_every_second<Done>(shutdown: CancellationToken, task: impl Fn() -> Done)
where
    Done: Future<Output = Result<()>>,
{
    let mut is_healthy = true;
    while shutdown.run_until_cancelled(tokio::time::sleep(TICK_INTERVAL)).await.is_some() {
        log_transition(&mut is_healthy, task().await.map_err(|error| error.log_message()));
    }
}

/// Logs one line when the task starts to fail and one when it recovers, instead of one per second.
fn log_transition(is_healthy: &mut bool, outcome: Result<(), String>) {
    match outcome {
        Err(error) if *is_healthy => tracing::warn!(error = error, "scheduler failed; retrying every second"),
        Ok(()) if !*is_healthy => tracing::info!("scheduler recovered"),
        _ => return,
    }
    *is_healthy = !*is_healthy;
}

/// Waits for SIGINT or SIGTERM. The handlers are registered by the call, not by the first poll, so that a signal sent
/// right after the startup message is not lost.
#[cfg(unix)]
pub(super) fn wait_for_shutdown_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn receive_signal(signal: std::io::Result<Signal>) {
        match signal {
            Ok(mut signal_stream) => {
                signal_stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    }
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        tokio::select! {
            () = receive_signal(interrupt) => {}
            () = receive_signal(terminate) => {}
        }
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn wait_for_shutdown_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// SIGHUP, by which operators and process managers request that files are read again.
#[derive(Debug)]
pub(super) struct ReloadSignal {
    #[cfg(unix)]
    signal: std::io::Result<tokio::signal::unix::Signal>,
}

impl ReloadSignal {
    /// Registers the handler. Until then, the signal ends the process.
    pub(super) fn register() -> Self {
        #[cfg(unix)]
        let registered = Self { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) };
        #[cfg(not(unix))]
        let registered = Self {};
        registered
    }

    /// Waits for the next signal.
    pub(super) async fn receive(&mut self) {
        #[cfg(unix)]
        if let Ok(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
