//! The worker: relays events, starts what is due by the clock, and does what waits.

use std::{
    collections::{BTreeMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;
use uuid::Uuid;

use super::{
    Outcome,
    claim::{self, Claimed, Wish},
    relay, schedule,
    wiring::{Way, Wiring},
};
use crate::{
    base::{Error, Result},
    infra::Env,
};

/// How many deliveries are made in one transaction when they wait together.
const TOGETHER: usize = 20;

/// Does what waits. One lives in every process that works; tests have it work until nothing is left.
#[derive(Debug)]
pub struct Worker {
    pub(super) env: Env,
    pub(super) wiring: Arc<Wiring>,
    pub(super) queues: BTreeMap<&'static str, bool>,
    /// No other worker has it, nor had.
    pub(super) name: String,
    /// What is being done.
    pub(super) running: Mutex<HashSet<i64>>,
}

/// What one task does: a job, or some deliveries that may be made together.
pub(super) type Unit = Vec<Claimed>;

impl Worker {
    /// A worker for a wiring, which the database knows of from now on.
    ///
    /// # Errors
    /// When the wiring cannot be, or the database cannot be asked.
    pub async fn open(env: Env, wiring: Arc<Wiring>) -> Result<Self> {
        super::register(&env.db, &wiring).await?;
        let queues = wiring.queues();
        let name = format!("{}-{}", std::process::id(), Uuid::now_v7().simple());
        Ok(Self { env, wiring, queues, name, running: Mutex::default() })
    }

    /// Works until nothing is left that is due, one after the other; how much was done.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn drain(&self) -> Result<u64> {
        let mut all = 0;
        loop {
            let mut done = relay::relay(&self.env.db).await? + schedule::start(&self.env.db, &self.wiring).await?;
            for queue in self.queues.keys() {
                for unit in self.claim(queue, 1).await? {
                    done += unit.len() as u64;
                    self.work(unit).await;
                }
            }
            all += done;
            if done == 0 {
                return Ok(all);
            }
        }
    }

    /// Takes what is due in a queue, for so many tasks at most.
    pub(super) async fn claim(&self, queue: &'static str, tasks: usize) -> Result<Vec<Unit>> {
        let deliveries = self.queues.get(queue).copied().unwrap_or_default();
        let each = if deliveries { TOGETHER } else { 1 };
        let known = self.wiring.known.iter().filter(|(_, known)| known.queue == queue);
        let kinds: Vec<&str> = known.map(|(kind, _)| kind.as_str()).collect();
        let (worker, lease) = (self.name.as_str(), self.env.config.jobs.lease);
        let wish = Wish { worker, queue, kinds: &kinds, most: tasks * each, lease, deliveries };
        let claimed = claim::claim(&self.env.db, &wish).await?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.extend(claimed.iter().map(|one| one.id));
        // Spread over the tasks: what waits together is made together only where there is more than can be at once.
        let size = claimed.len().div_ceil(tasks.max(1)).clamp(1, each);
        Ok(claimed.chunks(size).map(<[Claimed]>::to_vec).collect())
    }

    /// Does what was claimed, whatever comes of it.
    pub(super) async fn work(&self, unit: Unit) {
        let keys: Vec<i64> = unit.iter().map(|one| one.id).collect();
        if unit.len() < 2 || !self.together(&unit).await {
            for one in unit {
                self.alone(&one).await;
            }
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            running.remove(&key);
        }
    }

    /// Makes deliveries in one transaction; says whether it went well. If not, nothing has happened.
    async fn together(&self, unit: &[Claimed]) -> bool {
        let outcome = caught(self.env.db.write(async |tx| {
            claim::commit_lazily(tx).await?;
            claim::complete(tx, &self.name, unit).await?;
            for one in unit {
                let Some(Way::Inside(reacts)) = self.way(one) else {
                    return Err(Error::fault("making deliveries", "what is claimed together is deliveries"));
                };
                if self.spent(one) {
                    return Err(Error::fault("making deliveries", "one was tried too often"));
                }
                reacts(tx, one).await?;
            }
            Ok(())
        }));
        matches!(outcome.await, Some(Ok(())))
    }

    async fn alone(&self, one: &Claimed) {
        let db = &self.env.db;
        let outcome = match self.way(one) {
            // Its workers were gone, so often that it may be what takes them away.
            _ if self.spent(one) => Some(Outcome::Fail("the worker was gone before it ended".into())),
            None => Some(Outcome::Fail("nobody knows how to do this".into())),
            Some(Way::Outside(does)) => caught(does(&self.env, one)).await,
            Some(Way::Inside(reacts)) => {
                let outcome = caught(db.write(async |tx| {
                    claim::commit_lazily(tx).await?;
                    claim::complete(tx, &self.name, std::slice::from_ref(one)).await?;
                    reacts(tx, one).await
                }));
                match outcome.await {
                    Some(Ok(())) => return,
                    Some(Err(why)) => {
                        tracing::warn!(job = one.id, kind = one.kind, error = why.log(), "a reaction failed");
                        Some(Outcome::Retry(why.public().to_string()))
                    }
                    None => None,
                }
            }
        };
        let outcome = outcome.unwrap_or_else(|| Outcome::Retry("it broke off".into()));
        match &outcome {
            Outcome::Done => {}
            Outcome::Retry(words) | Outcome::Fail(words) => {
                tracing::warn!(job = one.id, kind = one.kind, attempt = one.attempts, reason = words, "not done");
            }
        }
        let config = &self.env.config.jobs;
        if let Err(why) = claim::settle(db, &self.name, one, (outcome, self.most(one), config)).await {
            // Its lease ends, and then somebody tries again.
            tracing::warn!(job = one.id, kind = one.kind, error = why.log(), "what came of it was not written down");
        }
    }

    fn way(&self, one: &Claimed) -> Option<Way> {
        self.wiring.known.get(&one.kind).map(|known| known.way.clone())
    }

    fn most(&self, one: &Claimed) -> u32 {
        let own = self.wiring.known.get(&one.kind).and_then(|known| known.attempts);
        own.unwrap_or(self.env.config.jobs.attempts)
    }

    fn spent(&self, one: &Claimed) -> bool {
        one.attempts.unsigned_abs() > self.most(one)
    }
}

/// What comes of it; `None` when it panics, which is its failure and nobody else's.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}
