//! Execution of an operation with its loads in batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker, ready},
};

use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::sync::mpsc;

use crate::infra::QueryStats;

/// Queue of requested loads that wait for the next batch.
#[derive(Debug)]
pub struct PendingLoads {
    pub(super) receiver: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    pub(super) query_stats: Arc<QueryStats>,
}

/// Runs an operation and executes its pending loads in batches whenever it cannot make progress.
///
/// A batch starts only when the operation is idle, no statement of its own is running and the previous batch is
/// complete. Loads that belong together therefore always form one batch, independent of the machine's load: the number
/// of statements depends on the operation alone.
pub async fn run_with_batching<T>(operation: impl Future<Output = T>, mut pending_loads: PendingLoads) -> T {
    let mut operation = std::pin::pin!(operation);
    let mut batch = FuturesUnordered::new();
    std::future::poll_fn(move |task_context| {
        let batch_waker =
            Arc::new(BatchWaker { task_waker: task_context.waker().clone(), woken: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&batch_waker));
        loop {
            batch_waker.woken.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = operation.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            // The operation yielded cooperatively and has already been woken again.
            if batch_waker.woken.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            if batch.is_empty() && !pending_loads.query_stats.is_busy() {
                while let Ok(load) = pending_loads.receiver.try_recv() {
                    batch.push(load);
                }
            }
            if batch.is_empty() {
                return Poll::Pending;
            }
            while ready!(batch.poll_next_unpin(task_context)).is_some() {}
        }
    })
    .await
}

/// Waker that wakes the task and records that it was woken.
struct BatchWaker {
    task_waker: Waker,
    woken: AtomicBool,
}

impl Wake for BatchWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.task_waker.wake_by_ref();
    }
}
