//! What happens every second, and how somebody asks a process to end.

use std::time::Duration;

use tokio::sync::watch;

use crate::base::Result;

/// How often the clock's work is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Does something every second until it is time to stop.
pub(super) async fn every_second<Done>(mut stopped: watch::Receiver<bool>, work: impl Fn() -> Done)
where
    Done: Future<Output = Result<()>>,
{
    let mut well = true;
    while !pause(&mut stopped).await {
        report(&mut well, work().await.map_err(|why| why.log()));
    }
}

/// Waits for the next tick; says whether it is time to stop.
async fn pause(stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(TICK) => false,
        _ = stopped.wait_for(|stop| *stop) => true,
    }
}

/// One line when it begins to fail and one when it is well again, not one a second.
fn report(well: &mut bool, outcome: Result<(), String>) {
    match outcome {
        Err(why) if *well => tracing::warn!(error = why, "the clock's work failed; it is tried every second"),
        Ok(()) if !*well => tracing::info!("the clock's work goes on"),
        _ => return,
    }
    *well = !*well;
}

/// Until somebody asks the process to end. Heard from now on, not from when it is first waited for: whoever is told
/// that the shop is open may end it at once.
#[cfg(unix)]
pub(super) fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn heard(signal: std::io::Result<Signal>) {
        match signal {
            Ok(mut asked) => {
                asked.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    }
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        tokio::select! {
            () = heard(interrupt) => {}
            () = heard(terminate) => {}
        }
    }
}

/// Until somebody asks the process to end.
#[cfg(not(unix))]
pub(super) async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
