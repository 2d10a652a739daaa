//! Workers as they run: several on one database, woken, stopped, killed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use savannah::infra::{
    Env,
    jobs::{Outcome, Wiring, Worker},
};
use tokio::sync::watch;

use crate::{
    jobs::{Write, ask, open, write},
    relay,
    shop::{Backend, Shop, Workplace},
    stories,
};

stories![
    four_workers_take_no_job_twice,
    a_worker_is_told_of_work,
    a_worker_that_stops_ends_what_it_does,
    a_worker_that_must_stop_gives_back_what_it_does,
    no_more_at_once_than_may_be,
    events_are_heard_of_soon,
    the_worker_is_a_command,
];

/// Far longer than a story takes: work that is found was told of.
const NO_POLL: (&str, &str) = ("SAVANNAH_JOBS__POLL", "3600");
const PATIENCE: Duration = Duration::from_secs(30);

/// A worker that runs, until it is told to stop.
struct Runs {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Runs {
    async fn begin(env: Env, wiring: &Arc<Wiring>, grace: Duration) -> Self {
        let worker = Worker::open(env, Arc::clone(wiring)).await;
        let worker = Arc::new(worker.unwrap_or_else(|why| panic!("no worker: {}", why.log())));
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(async move { worker.run(stopped, grace).await }) }
    }

    /// Ends it, and lets go of a database of its own.
    async fn end_with(self, own: Env) {
        self.end().await;
        own.db.close().await;
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.expect("an end");
    }
}

/// Waits until a query of the story's own answers this number.
async fn until(shop: &Shop, sql: &str, wanted: i64) {
    let began = Instant::now();
    while shop.number(sql).await != wanted {
        assert!(began.elapsed() < PATIENCE, "{} instead of {wanted}: {sql}", shop.number(sql).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn four_workers_take_no_job_twice(backend: Backend) {
    let shop = open(backend, &[("SAVANNAH_DATABASE__CONNECTIONS", "4")]).await;
    for number in 0..64 {
        ask(&shop, 100 + number).await;
    }
    let mut workers = Vec::new();
    for _ in 0..4 {
        let own = shop.another().await;
        workers.push((Runs::begin(own.clone(), &shop.wiring, PATIENCE).await, own));
    }
    until(&shop, "SELECT count(*) FROM job WHERE state = 'done'", 64).await;
    join_all(workers.into_iter().map(|(runs, own)| runs.end_with(own))).await;
    assert_eq!(shop.number("SELECT count(*) FROM done").await, 64);
    assert_eq!(shop.number("SELECT count(DISTINCT number) FROM done").await, 64);
    assert_eq!(shop.number("SELECT max(attempts) FROM job").await, 1);
}

async fn a_worker_is_told_of_work(backend: Backend) {
    let shop = relay::open(backend, &[NO_POLL]).await;
    // SQLite knows of nobody else's work but by looking: there it is the process's own bell that rings.
    let env = if backend == Backend::Postgres { shop.another().await } else { shop.env() };
    let runs = Runs::begin(env.clone(), &shop.wiring, PATIENCE).await;
    for number in 1..=3 {
        relay::poke(&shop, 1, number).await;
        until(&shop, "SELECT count(*) FROM heard", 2 * number).await;
    }
    runs.end().await;
    if backend == Backend::Postgres {
        env.db.close().await;
    }
    assert_eq!(relay::heard(&shop, "touchy", 1).await, [1, 2, 3]);
    shop.settle().await;
}

/// A shop whose jobs begin, and end when the story says so.
async fn gated(backend: Backend, settings: &[(&str, &str)]) -> (Shop, watch::Receiver<i64>, watch::Sender<bool>) {
    let mut shop = open(backend, settings).await;
    let (begun, hear) = watch::channel(0);
    let (go, gate) = watch::channel(false);
    let slow = move |env: &Env, job: Write| {
        let (env, begun, mut gate) = (env.clone(), begun.clone(), gate.clone());
        async move {
            begun.send_modify(|count| *count += 1);
            if gate.wait_for(|open| *open).await.is_err() {
                return Outcome::Retry("the story is over".into());
            }
            write(&env, job).await
        }
    };
    shop.wiring = Arc::new(Wiring::default().job::<Write>(slow));
    (shop, hear, go)
}

async fn a_worker_that_stops_ends_what_it_does(backend: Backend) {
    let (shop, mut begun, go) = gated(backend, &[]).await;
    ask(&shop, 1).await;
    let runs = Runs::begin(shop.env(), &shop.wiring, PATIENCE).await;
    begun.wait_for(|count| *count == 1).await.expect("it has begun");
    runs.stop.send_replace(true);
    ask(&shop, 2).await;
    go.send_replace(true);
    runs.end().await;
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'done'").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'waiting' AND attempts = 0").await, 1);
    shop.settle().await;
}

async fn a_worker_that_must_stop_gives_back_what_it_does(backend: Backend) {
    let (shop, mut begun, go) = gated(backend, &[]).await;
    ask(&shop, 1).await;
    let runs = Runs::begin(shop.env(), &shop.wiring, Duration::from_millis(1)).await;
    begun.wait_for(|count| *count == 1).await.expect("it has begun");
    runs.end().await;
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'waiting' AND attempts = 0").await, 1);
    go.send_replace(true);
    // Others need not wait for the lease.
    shop.settle().await;
    assert_eq!(shop.number("SELECT count(*) FROM done").await, 1);
}

async fn no_more_at_once_than_may_be(backend: Backend) {
    let (shop, mut begun, go) = gated(backend, &[("SAVANNAH_JOBS__QUEUES", "other=9,test=2")]).await;
    for number in 1..=3 {
        ask(&shop, 100 + number).await;
    }
    let runs = Runs::begin(shop.env(), &shop.wiring, PATIENCE).await;
    begun.wait_for(|count| *count == 2).await.expect("two have begun");
    until(&shop, "SELECT count(*) FROM job WHERE state = 'running'", 2).await;
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'waiting'").await, 1);
    go.send_replace(true);
    until(&shop, "SELECT count(*) FROM job WHERE state = 'done'", 3).await;
    runs.end().await;
    assert_eq!(*begun.borrow(), 3);
}

/// From the commit to the reaction's own: measured on whatever this runs on, and only to be far from a poll.
async fn events_are_heard_of_soon(backend: Backend) {
    let shop = relay::open(backend, &[NO_POLL]).await;
    let runs = Runs::begin(shop.env(), &shop.wiring, PATIENCE).await;
    let began = Instant::now();
    for number in 1..=100 {
        relay::poke(&shop, number, number).await;
    }
    let emitted = began.elapsed();
    until(&shop, "SELECT count(*) FROM heard", 200).await;
    let after = began.elapsed().checked_sub(emitted).unwrap_or_default();
    runs.end().await;
    println!("{}: 100 events in {emitted:?}, all heard {after:?} after the last", backend.name());
    assert!(after < Duration::from_secs(5), "the last was heard {after:?} after it was told");
}

async fn the_worker_is_a_command(backend: Backend) {
    let shop = Shop::open(backend).await;
    // The clocks differ: the binary's is the real one.
    shop.work().await;
    shop.sql("UPDATE schedule SET next_at = created_at").await.expect("a change");
    let place = Workplace::new(&[("DATABASE_URL", shop.database_url())]);
    let worker = place.begin(&["worker"]);
    worker.says("has begun").await;
    let all =
        "SELECT CASE WHEN count(*) >= (SELECT count(*) FROM schedule) THEN 1 ELSE 0 END FROM job WHERE state = 'done'";
    until(&shop, all, 1).await;
    worker.signal("TERM");
    let ended = worker.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let list = place.run(&["jobs", "schedules"], &[]).await;
    assert!(list.out.contains("session.prune") && !list.out.contains("last never"), "{list:?}");
}
