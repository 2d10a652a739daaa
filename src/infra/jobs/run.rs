//! The worker as it runs: woken by the bell, by what ends, and by the clock as a net.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinSet},
};

use super::{claim, listen::listen, relay, schedule, worker::Worker};
use crate::base::Result;

/// How long until it is tried again to look for work.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is said which reactions there are.
const KNOWN: TimeDelta = TimeDelta::hours(1);
/// How often, and how long after each other, it is tried to give back what could not be ended.
const GIVING_BACK: (u32, Duration) = (40, Duration::from_millis(50));

/// When there is something to do, as one read tells it.
#[derive(Debug, Default)]
struct Ahead {
    events: bool,
    schedules: Option<DateTime<Utc>>,
    queues: BTreeMap<&'static str, DateTime<Utc>>,
}

/// What is being done, and how much more of each queue may be.
struct Hands {
    tasks: JoinSet<()>,
    free: BTreeMap<&'static str, Arc<Semaphore>>,
}

/// Ends a task with whoever holds it.
struct Beside(AbortHandle);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Worker {
    /// Works until it is stopped; then what is being done may end within the time of grace, and the rest is given back.
    pub async fn run(self: &Arc<Self>, mut stopped: watch::Receiver<bool>, grace: Duration) {
        let config = &self.env.config;
        let free = |queue: &&'static str| (*queue, Arc::new(Semaphore::new(config.jobs.at_once(queue))));
        let mut hands = Hands { tasks: JoinSet::new(), free: self.queues.keys().map(free).collect() };
        let _ear = self.env.db.sql().postgres().then(|| {
            let bell = Arc::clone(self.env.db.bell());
            Beside(tokio::spawn(listen(config.database.url.clone(), bell)).abort_handle())
        });
        let _heart = Beside(tokio::spawn(Arc::clone(self).beat()).abort_handle());
        let mut bell = self.env.db.bell().listen();
        let mut well = true;
        loop {
            bell.borrow_and_update();
            let pause = match self.round(&mut hands).await {
                Ok(pause) => {
                    if !well {
                        tracing::info!("the worker goes on");
                    }
                    well = true;
                    pause
                }
                Err(why) => {
                    if well {
                        tracing::warn!(error = why.log(), "the worker cannot look for work; it tries every second");
                    }
                    well = false;
                    AGAIN
                }
            };
            tokio::select! {
                // Nobody is left who could stop it, or somebody has.
                _ = stopped.wait_for(|stop| *stop) => break,
                _ = bell.changed() => {}
                Some(_) = hands.tasks.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
            while hands.tasks.try_join_next().is_some() {}
        }
        self.stop(hands, grace).await;
    }

    /// Begins whatever can be begun; how long there is nothing to look for.
    async fn round(self: &Arc<Self>, hands: &mut Hands) -> Result<Duration> {
        let db = &self.env.db;
        let mut ahead = self.look().await?;
        let now = db.now();
        if ahead.events && relay::relay(db).await? > 0 {
            ahead
                .queues
                .extend(self.queues.iter().filter(|(_, deliveries)| **deliveries).map(|(queue, _)| (*queue, now)));
        }
        let mut next = self.env.config.jobs.poll;
        let mut until = |at: DateTime<Utc>| next = next.min((at - now).to_std().unwrap_or_default());
        match ahead.schedules {
            Some(at) if at <= now => {
                schedule::start(db, &self.wiring).await?;
                ahead.queues.insert(super::wiring::SCHEDULED, now);
            }
            Some(at) => until(at),
            None => {}
        }
        for (queue, at) in ahead.queues {
            let Some(free) = hands.free.get(queue).filter(|_| at <= now) else {
                until(at);
                continue;
            };
            let tasks = free.available_permits();
            if tasks == 0 {
                continue;
            }
            for unit in self.claim(queue, tasks).await? {
                let (worker, permit) = (Arc::clone(self), Arc::clone(free).try_acquire_owned());
                hands.tasks.spawn(async move {
                    worker.work(unit).await;
                    drop(permit);
                });
            }
        }
        Ok(next)
    }

    /// When there is something to do. One read, of the first entries of indexes.
    async fn look(&self) -> Result<Ahead> {
        let mut sql = self.env.db.sql();
        for queue in self.queues.keys() {
            sql.push("SELECT CAST(")
                .bind(*queue)
                .push(" AS TEXT) AS place, (SELECT min(due_at) FROM job WHERE queue = ");
            let number = sql.count();
            sql.place(number).push(" AND state IN ('waiting', 'running')) AS due_at UNION ALL ");
        }
        sql.push(
            "SELECT '/events', (SELECT created_at FROM outbox WHERE relayed_at IS NULL ORDER BY id LIMIT 1) AS due_at \
             UNION ALL SELECT '/schedules', (SELECT min(next_at) FROM schedule)",
        );
        let mut ahead = Ahead::default();
        for row in self.env.db.query_all_raw(sql.statement()).await? {
            let (place, at): (String, Option<DateTime<Utc>>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            match (place.as_str(), at) {
                (_, None) => {}
                ("/events", Some(_)) => ahead.events = true,
                ("/schedules", at) => ahead.schedules = at,
                (place, Some(at)) => {
                    ahead.queues.extend(self.queues.get_key_value(place).map(|(queue, _)| (*queue, at)));
                }
            }
        }
        Ok(ahead)
    }

    /// Makes the leases of what is being done last, and the wiring known, until it is dropped.
    async fn beat(self: Arc<Self>) {
        let db = &self.env.db;
        let lease = self.env.config.jobs.lease;
        let mut known = db.now();
        loop {
            tokio::time::sleep(lease / 3).await;
            if let Err(why) = claim::extend(db, (&self.name, lease), &self.running()).await {
                tracing::warn!(error = why.log(), "leases were not made longer");
            }
            if db.now() - known < KNOWN {
                continue;
            }
            known = db.now();
            if let Err(why) = db.write(async |tx| relay::register(tx, &self.wiring).await).await {
                tracing::warn!(error = why.log(), "the reactions there are were not written down");
            }
        }
    }

    fn running(&self) -> Vec<i64> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    async fn stop(&self, mut hands: Hands, grace: Duration) {
        let ended = async { while hands.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return;
        }
        hands.tasks.shutdown().await;
        let running = self.running();
        tracing::warn!(jobs = running.len(), "not ended in time: others will do it");
        let mut left = running.len() as u64;
        // A transaction that broke off holds its rows until the database has heard of it.
        for _ in 0..GIVING_BACK.0 {
            match claim::give_back(&self.env.db, &self.name, &running).await {
                Ok(given) => left = left.saturating_sub(given),
                Err(why) => tracing::warn!(error = why.log(), "work was not given back; its lease ends"),
            }
            if left == 0 {
                return;
            }
            tokio::time::sleep(GIVING_BACK.1).await;
        }
    }
}
