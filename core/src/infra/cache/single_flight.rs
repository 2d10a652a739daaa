//! Single flight: of concurrent computations of one key, one runs and the others wait for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// Outcome of a computation that others waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlightOutcome {
    /// The result was stored.
    Stored,
    /// The computation ended with a result that is not stored.
    NotStored,
    /// The computation was dropped, for example because its client disconnected.
    Canceled,
    /// The computation takes longer than the patience of the one who waits.
    TimedOut,
}

/// Turn of a computation.
pub enum FlightTurn<'a, K: Eq + Hash> {
    /// It computes; others wait until the guard is finished or dropped.
    Leader(LeaderGuard<'a, K>),
    /// Another one has computed.
    Follower(FlightOutcome),
}

/// Running computations by key. Their number is that of the requests in progress.
#[derive(Debug)]
pub struct SingleFlight<K> {
    flights: Mutex<HashMap<K, watch::Receiver<Option<FlightOutcome>>>>,
}

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self { flights: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> SingleFlight<K> {
    /// Becomes the leader of a key; `None` if it has one.
    pub fn try_lead(&self, key: K) -> Option<LeaderGuard<'_, K>> {
        self.lead_or_follow(key).ok()
    }

    /// Becomes the leader of a key, or returns the channel of its leader.
    fn lead_or_follow(&self, key: K) -> Result<LeaderGuard<'_, K>, watch::Receiver<Option<FlightOutcome>>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = flights.get(&key) {
            return Err(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver);
        Ok(LeaderGuard { flights: self, key, sender })
    }

    /// Becomes the leader of a key, or waits for its leader, no longer than `patience`.
    pub async fn join(&self, key: K, patience: Duration) -> FlightTurn<'_, K> {
        let mut receiver = match self.lead_or_follow(key) {
            Ok(guard) => return FlightTurn::Leader(guard),
            Err(receiver) => receiver,
        };
        let outcome = match tokio::time::timeout(patience, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.unwrap_or(FlightOutcome::Canceled),
            Ok(Err(_)) => FlightOutcome::Canceled,
            Err(_) => FlightOutcome::TimedOut,
        };
        FlightTurn::Follower(outcome)
    }
}

/// Guard of a leader. Dropping it lets one of those who wait become the leader.
pub struct LeaderGuard<'a, K: Eq + Hash> {
    flights: &'a SingleFlight<K>,
    key: K,
    sender: watch::Sender<Option<FlightOutcome>>,
}

impl<K: Eq + Hash> LeaderGuard<'_, K> {
    /// Ends the computation; those who wait continue.
    pub fn finish(self, is_stored: bool) {
        let outcome = if is_stored { FlightOutcome::Stored } else { FlightOutcome::NotStored };
        self.sender.send_replace(Some(outcome));
    }
}

impl<K: Eq + Hash> Drop for LeaderGuard<'_, K> {
    fn drop(&mut self) {
        // The sender is dropped after this: a caller that joins now starts a new flight.
        self.flights.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn waiting_computations_get_the_outcome_of_the_leader() {
        let flights = Arc::new(SingleFlight::<u8>::default());
        let FlightTurn::Leader(guard) = flights.join(1, LONG).await else { panic!("the first one leads") };
        let followers: Vec<_> = (0..3)
            .map(|_| {
                let flights = Arc::clone(&flights);
                tokio::spawn(async move {
                    matches!(flights.join(1, LONG).await, FlightTurn::Follower(FlightOutcome::Stored))
                })
            })
            .collect();
        tokio::task::yield_now().await;
        guard.finish(true);
        for follower in followers {
            assert!(follower.await.expect("a follower"));
        }
        assert!(flights.flights.lock().expect("flights").is_empty());
    }

    #[tokio::test]
    async fn dropped_leader_is_replaced_by_one_of_those_who_wait() {
        let flights = Arc::new(SingleFlight::<u8>::default());
        let leaders = Arc::new(AtomicUsize::new(0));
        let FlightTurn::Leader(guard) = flights.join(1, LONG).await else { panic!("the first one leads") };
        let followers: Vec<_> = (0..3)
            .map(|_| {
                let (flights, leaders) = (Arc::clone(&flights), Arc::clone(&leaders));
                tokio::spawn(async move {
                    loop {
                        match flights.join(1, LONG).await {
                            FlightTurn::Leader(guard) => {
                                leaders.fetch_add(1, Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                return guard.finish(true);
                            }
                            FlightTurn::Follower(FlightOutcome::Canceled) => {}
                            FlightTurn::Follower(outcome) => return assert_eq!(outcome, FlightOutcome::Stored),
                        }
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(guard);
        for follower in followers {
            follower.await.expect("a follower");
        }
        assert!(leaders.load(Ordering::SeqCst) >= 1);
    }

    #[tokio::test]
    async fn hung_leader_delays_others_by_their_patience_only() {
        let flights = SingleFlight::<u8>::default();
        let FlightTurn::Leader(_guard) = flights.join(1, LONG).await else { panic!("the first one leads") };
        let turn = flights.join(1, Duration::from_millis(10)).await;
        assert!(matches!(turn, FlightTurn::Follower(FlightOutcome::TimedOut)));
    }
}
