//! Jobs: stored with the change that wants them, done after, tried again, and given up.

use std::sync::Arc;

use chrono::TimeDelta;
use savannah::{
    base::{Error, Result, error::Code},
    infra::{
        Env,
        jobs::{Job, Outcome, Wiring, Worker},
    },
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::{
    shop::{Backend, Shop, Workplace, moment},
    stories,
};

stories![
    a_job_is_done_if_its_change_is,
    a_job_is_tried_again_and_given_up,
    one_that_waits_is_enough,
    who_has_lost_a_job_completes_it_no_more,
    the_command_line_knows_dead_letters,
];

/// Something to be written down, or not.
#[derive(Debug, Serialize, Deserialize)]
pub struct Write {
    pub number: i64,
    pub key: Option<String>,
}

impl Job for Write {
    const KIND: &'static str = "test.write";
    const QUEUE: &'static str = "test";
    const ATTEMPTS: Option<u32> = Some(4);

    fn key(&self) -> Option<String> {
        self.key.clone()
    }
}

/// Writes it down, and then does what the number wants.
pub async fn write(env: &Env, job: Write) -> Outcome {
    if let Err(why) = written(env, job.number).await {
        return Outcome::from(Err(why));
    }
    match job.number {
        13 => panic!("as the story wants it"),
        7 => Outcome::Fail("the number is out of service".into()),
        5 => Outcome::Retry("the line is busy".into()),
        4 => Outcome::from(Err(Error::user(Code::NotFound, "", "there is no such number"))),
        _ => Outcome::Done,
    }
}

async fn written(env: &Env, number: i64) -> Result<()> {
    env.db
        .write(async |tx| {
            let mut sql = tx.sql();
            sql.push("INSERT INTO done (number) VALUES (").bind(number).push(")");
            tx.execute_raw(sql.statement()).await?;
            Ok(())
        })
        .await
}

/// A shop that does such jobs.
pub async fn open(backend: Backend, settings: &[(&str, &str)]) -> Shop {
    let mut shop = Shop::open_with(backend, settings).await;
    shop.wiring = Arc::new(Wiring::default().job::<Write>(write));
    shop.sql("CREATE TABLE done (number BIGINT)").await.expect("a table");
    shop
}

pub async fn ask(shop: &Shop, number: i64) {
    let stored = shop.db.write(async |tx| tx.enqueue(Write { number, key: None }).await).await;
    stored.unwrap_or_else(|why| panic!("not stored: {}", why.log()));
}

async fn times(shop: &Shop, number: i64) -> i64 {
    shop.number(&format!("SELECT count(*) FROM done WHERE number = {number}")).await
}

async fn a_job_is_done_if_its_change_is(backend: Backend) {
    let shop = open(backend, &[]).await;
    let undone: Result<()> = shop
        .db
        .write(async |tx| {
            tx.enqueue(Write { number: 1, key: None }).await?;
            Err(Error::bad_input("", "the story says no"))
        })
        .await;
    assert!(undone.is_err());
    ask(&shop, 2).await;
    let later = shop.db.now() + TimeDelta::hours(1);
    let stored = shop.db.write(async |tx| tx.enqueue_at(Write { number: 3, key: None }, later).await).await;
    assert!(stored.is_ok());
    shop.settle().await;
    assert_eq!((times(&shop, 1).await, times(&shop, 2).await, times(&shop, 3).await), (0, 1, 0));
    shop.clock.set(later);
    shop.settle().await;
    assert_eq!((times(&shop, 2).await, times(&shop, 3).await), (1, 1));
}

async fn a_job_is_tried_again_and_given_up(backend: Backend) {
    let shop = open(backend, &[("SAVANNAH_JOBS__BACKOFF", "60")]).await;
    for number in [13, 7, 5, 4, 1] {
        ask(&shop, number).await;
    }
    shop.work().await;
    let dead = "SELECT count(*) FROM job WHERE state = 'dead'";
    assert_eq!(shop.number(dead).await, 2, "what can never be is not tried again");
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE last_error LIKE '%there is no such number%'").await, 1);
    // A minute, less up to a half; then two.
    for (at, tries) in
        [("09:00:29", 1), ("09:01:00", 2), ("09:01:59", 2), ("09:03:00", 3), ("10:00:00", 4), ("12:00:00", 4)]
    {
        shop.clock.set(moment(&format!("2026-11-01T{at}Z")));
        shop.work().await;
        assert_eq!((times(&shop, 5).await, times(&shop, 13).await), (tries, tries), "{at}");
    }
    assert_eq!(shop.number(dead).await, 4);
    assert_eq!((times(&shop, 7).await, times(&shop, 4).await, times(&shop, 1).await), (1, 1, 1));
}

async fn one_that_waits_is_enough(backend: Backend) {
    let shop = open(backend, &[]).await;
    for key in ["a", "b", "a", "a"] {
        let job = Write { number: 1, key: Some(key.into()) };
        assert!(shop.db.write(async |tx| tx.enqueue(job).await).await.is_ok());
    }
    shop.settle().await;
    assert_eq!(times(&shop, 1).await, 2);
    let job = Write { number: 1, key: Some("a".into()) };
    assert!(shop.db.write(async |tx| tx.enqueue(job).await).await.is_ok());
    shop.settle().await;
    assert_eq!(times(&shop, 1).await, 3, "what is done stands in nobody's way");
}

async fn who_has_lost_a_job_completes_it_no_more(backend: Backend) {
    let mut shop = open(backend, &[]).await;
    let (begun, hear) = tokio::sync::watch::channel(0);
    let (go, _) = tokio::sync::watch::channel(false);
    let gate = go.clone();
    let slow = move |env: &Env, job: Write| {
        let (env, begun, mut gate) = (env.clone(), begun.clone(), gate.subscribe());
        async move {
            let mut first = false;
            begun.send_modify(|count| {
                first = *count == 0;
                *count += 1;
            });
            if first {
                gate.wait_for(|open| *open).await.expect("a gate");
                return Outcome::Retry("too late".into());
            }
            write(&env, job).await
        }
    };
    shop.wiring = Arc::new(Wiring::default().job::<Write>(slow));
    ask(&shop, 1).await;
    let worker: Worker = shop.worker().await;
    let zombie = tokio::spawn(async move { worker.drain().await.map_err(|why| why.log()) });
    hear.clone().wait_for(|count| *count == 1).await.expect("it has begun");
    assert_eq!(shop.work().await, 0, "somebody has it");
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    assert_eq!(shop.work().await, 1, "its lease is over");
    go.send_replace(true);
    zombie.await.expect("an end").expect("an end");
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'done' AND attempts = 2").await, 1);
    assert_eq!(times(&shop, 1).await, 1);
    shop.settle().await;
}

async fn the_command_line_knows_dead_letters(backend: Backend) {
    let shop = open(backend, &[]).await;
    ask(&shop, 7).await;
    ask(&shop, 4).await;
    shop.work().await;
    let place = Workplace::new(&[("DATABASE_URL", shop.database_url())]);
    let list = place.run(&["jobs", "list", "--state", "dead"], &[]).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    let lines: Vec<&str> = list.out.lines().collect();
    assert_eq!(lines.len(), 2, "{list:?}");
    assert!(lines[1].contains("test.write") && lines[1].contains("out of service"), "{list:?}");
    let id = |line: &str| line.split(' ').next().expect("a number").to_owned();
    let shown = place.run(&["jobs", "show", &id(lines[1])], &[]).await;
    assert!(shown.out.contains("queue test") && shown.out.contains("out of service"), "{shown:?}");
    let let_go = place.run(&["jobs", "discard", &id(lines[0])], &[]).await;
    assert_eq!((let_go.code, let_go.out.contains("discarded")), (Some(0), true), "{let_go:?}");
    let again = place.run(&["jobs", "retry", "--dead"], &[]).await;
    assert_eq!((again.code, again.out.contains("1 will be tried again")), (Some(0), true), "{again:?}");
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'waiting' AND attempts = 0").await, 1);
    let again = place.run(&["jobs", "retry", "4711"], &[]).await;
    assert_eq!((again.code, again.err.contains("there is no such job")), (Some(1), true), "{again:?}");
    let none = place.run(&["jobs", "list", "--queue", "nowhere"], &[]).await;
    assert_eq!((none.code, none.out.trim()), (Some(0), "there are none"));
}
