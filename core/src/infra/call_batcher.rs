//! Combines calls that are made at the same time, so that they share statements and a transaction.

use std::{
    fmt, mem,
    sync::{Mutex, PoisonError},
};

use tokio::sync::{
    Mutex as AsyncMutex,
    oneshot::{self, error::TryRecvError},
};

use crate::base::{Error, Result};

/// Maximum number of calls that are executed together.
const MAX_BATCH_SIZE: usize = 500;

/// A call that waits for its execution.
struct WaitingCall<Input, Output> {
    input: Input,
    sender: oneshot::Sender<Result<Output>>,
}

/// Combines calls: while one batch is executed, the calls that arrive form the next one. A single call is executed at
/// once.
pub struct CallBatcher<Input, Output> {
    waiting: Mutex<Vec<WaitingCall<Input, Output>>>,
    /// Held by the caller that executes a batch.
    turn: AsyncMutex<()>,
}

impl<Input, Output> Default for CallBatcher<Input, Output> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: AsyncMutex::default() }
    }
}

impl<Input, Output> fmt::Debug for CallBatcher<Input, Output> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CallBatcher").finish_non_exhaustive()
    }
}

impl<Input: Clone, Output> CallBatcher<Input, Output> {
    /// Executes a call, alone or with others. `execute` returns an output for each input, in their order; all callers
    /// pass the same function. If a batch fails, its calls are executed one by one, so that one cannot fail the others:
    /// what a failed execution has done must have no effect, or may be repeated.
    ///
    /// # Errors
    /// Returns the error of the execution, or an internal one if the caller that executed the batch was canceled.
    pub async fn call<Done: Future<Output = Result<Vec<Output>>>>(
        &self,
        input: Input,
        execute: impl Fn(Vec<Input>) -> Done,
    ) -> Result<Output> {
        let canceled = || Error::internal("executing a batch", "it was canceled");
        let (sender, mut receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(WaitingCall { input, sender });
        let _turn = tokio::select! {
            biased;
            outcome = &mut receiver => return outcome.unwrap_or_else(|_| Err(canceled())),
            turn = self.turn.lock() => turn,
        };
        loop {
            match receiver.try_recv() {
                Ok(outcome) => return outcome,
                Err(TryRecvError::Closed) => return Err(canceled()),
                Err(TryRecvError::Empty) => execute_calls(self.take_waiting(), &execute).await,
            }
        }
    }

    fn take_waiting(&self) -> Vec<WaitingCall<Input, Output>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() <= MAX_BATCH_SIZE {
            mem::take(&mut *waiting)
        } else {
            waiting.drain(..MAX_BATCH_SIZE).collect()
        }
    }
}

/// Executes calls together, or one by one if that fails, and sends the outcomes to their callers.
async fn execute_calls<Input: Clone, Output, Done: Future<Output = Result<Vec<Output>>>>(
    calls: Vec<WaitingCall<Input, Output>>,
    execute: &impl Fn(Vec<Input>) -> Done,
) {
    if calls.len() > 1 {
        let inputs = calls.iter().map(|call| call.input.clone()).collect();
        match execute(inputs).await {
            Ok(outputs) if outputs.len() == calls.len() => {
                for (call, output) in calls.into_iter().zip(outputs) {
                    // The receiver is gone if the caller was canceled.
                    drop(call.sender.send(Ok(output)));
                }
                return;
            }
            Ok(_) => tracing::error!("a batch has not as many outputs as inputs"),
            Err(error) => {
                tracing::warn!(
                    error = error.log_message(),
                    calls = calls.len(),
                    "a batch failed; executing one by one"
                );
            }
        }
    }
    for WaitingCall { input, sender } in calls {
        let missing = || Error::internal("executing a batch", "an output is missing");
        let outcome = execute(vec![input]).await.and_then(|mut outputs| outputs.pop().ok_or_else(missing));
        drop(sender.send(outcome));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn calls_at_the_same_time_are_executed_together() {
        let (batcher, batch_count) = (CallBatcher::default(), AtomicUsize::new(0));
        let double = |inputs: Vec<usize>| {
            batch_count.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::task::yield_now().await;
                Ok(inputs.into_iter().map(|input| 2 * input).collect())
            }
        };
        let outputs = join_all((0..1201).map(|input| batcher.call(input, double))).await;
        let outputs: Vec<usize> = outputs.into_iter().map(|output| output.expect("an output")).collect();
        assert_eq!(outputs, (0..1201).map(|input| 2 * input).collect::<Vec<_>>());
        // The first is executed at once.
        assert_eq!(batch_count.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn call_that_fails_does_not_fail_others() {
        let batcher = CallBatcher::default();
        let check = |inputs: Vec<usize>| async {
            tokio::task::yield_now().await;
            if inputs.contains(&3) { Err(Error::internal("a test", "three")) } else { Ok(inputs) }
        };
        let outputs = join_all((0..6).map(|input| batcher.call(input, check))).await;
        assert_eq!(
            outputs.into_iter().map(Result::ok).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(2), None, Some(4), Some(5)]
        );
    }

    #[tokio::test]
    async fn canceled_execution_fails_its_calls_and_not_later_ones() {
        let batcher = CallBatcher::default();
        let hang = |_: Vec<usize>| std::future::pending();
        let echo = |inputs: Vec<usize>| std::future::ready(Ok(inputs));
        let mut first = Box::pin(batcher.call(1, hang));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = Box::pin(batcher.call(2, echo));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.expect("an output"), 2);
    }
}
