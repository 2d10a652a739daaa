//! What runs by the clock: once for each time, whoever is there to do it, and once for all that were missed.

use std::sync::Arc;

use futures_util::future::join_all;
use savannah::{
    base::Result,
    identity::Role,
    infra::{
        Env,
        jobs::{Wiring, Worker},
    },
};
use serde_json::json;

use crate::{
    relay,
    shop::{Backend, Shop, moment},
    stories,
};

stories![
    what_was_missed_is_made_up_for_once,
    one_of_many_starts_a_run,
    a_line_that_has_changed_counts_from_now,
    staff_see_what_runs_when,
    what_is_over_is_not_kept_for_ever,
    a_wiring_that_cannot_be_is_refused,
];

async fn nothing(_: &Env) -> Result<()> {
    Ok(())
}

async fn open(backend: Backend, line: &'static str) -> Shop {
    let mut shop = Shop::open(backend).await;
    shop.wiring = Arc::new(Wiring::default().every("test.hourly", line, nothing));
    shop
}

async fn runs(shop: &Shop) -> i64 {
    shop.number("SELECT count(*) FROM job WHERE kind = 'test.hourly' AND state = 'done'").await
}

async fn what_was_missed_is_made_up_for_once(backend: Backend) {
    let shop = open(backend, "0 17 * * * *").await;
    shop.settle().await;
    assert_eq!(runs(&shop).await, 0);
    for (at, so_far) in
        [("09:16:59", 0), ("09:17:00", 1), ("09:17:30", 1), ("15:00:00", 2), ("15:16:00", 2), ("15:17:00", 3)]
    {
        shop.clock.set(moment(&format!("2026-11-01T{at}Z")));
        shop.settle().await;
        assert_eq!(runs(&shop).await, so_far, "{at}");
    }
}

async fn one_of_many_starts_a_run(backend: Backend) {
    let shop = open(backend, "0 17 * * * *").await;
    let (mut workers, mut own) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let env = shop.another().await;
        own.push(env.clone());
        let worker = Worker::open(env, Arc::clone(&shop.wiring)).await;
        workers.push(worker.unwrap_or_else(|why| panic!("no worker: {}", why.log())));
    }
    for hour in 10..20 {
        shop.clock.set(moment(&format!("2026-11-01T{hour}:17:00Z")));
        let drained = join_all(workers.iter().map(Worker::drain)).await;
        for outcome in drained {
            outcome.unwrap_or_else(|why| panic!("not drained: {}", why.log()));
        }
    }
    for env in own {
        env.db.close().await;
    }
    shop.settle().await;
    assert_eq!(runs(&shop).await, 10);
    assert_eq!(shop.number("SELECT count(*) FROM job").await, 10);
}

async fn a_line_that_has_changed_counts_from_now(backend: Backend) {
    let mut shop = open(backend, "0 0 0 1 1 *").await;
    shop.settle().await;
    shop.wiring = Arc::new(Wiring::default().every("test.hourly", "0 1 9 * * *", nothing));
    shop.settle().await;
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    shop.settle().await;
    assert_eq!(runs(&shop).await, 1);
}

async fn staff_see_what_runs_when(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.work().await;
    let admin = shop.sign_in(Role::Admin).await;
    let query = "{ schedules { name cron nextAt lastAt } }";
    let answer = shop.ask_as(&admin, query, json!({})).await;
    let all = answer.at("/schedules").as_array().expect("a list").clone();
    let prune = all.iter().find(|one| one["name"] == "session.prune").expect("a schedule");
    assert_eq!(prune["cron"], "40 */10 * * * *");
    assert_eq!(prune["nextAt"], "2026-11-01T09:00:40+00:00");
    assert!(prune["lastAt"].is_null());
    shop.clock.set(moment("2026-11-01T09:00:40Z"));
    shop.settle().await;
    let answer = shop.ask_as(&admin, query, json!({})).await;
    let all = answer.at("/schedules").as_array().expect("a list").clone();
    let prune = all.iter().find(|one| one["name"] == "session.prune").expect("a schedule");
    assert_eq!(
        (&prune["lastAt"], &prune["nextAt"]),
        (&json!("2026-11-01T09:00:40+00:00"), &json!("2026-11-01T09:10:40+00:00"))
    );
    let customer = shop.sign_in(Role::Customer).await;
    assert_eq!(shop.ask_as(&customer, query, json!({})).await.code(), "FORBIDDEN");
}

async fn what_is_over_is_not_kept_for_ever(backend: Backend) {
    let mut shop = relay::open(backend, &[("SAVANNAH_JOBS__ATTEMPTS", "1")]).await;
    shop.sql("INSERT INTO trouble VALUES (2, 'words')").await.expect("trouble");
    relay::poke(&shop, 1, 1).await;
    relay::poke(&shop, 1, 2).await;
    shop.work().await;
    shop.wiring = Arc::new(savannah::wiring::wiring(&savannah::payment::Providers::default()));
    shop.work().await;
    shop.clock.set(moment("2026-11-30T12:00:00Z"));
    shop.work().await;
    assert_eq!(shop.number("SELECT count(*) FROM outbox").await, 2, "29 days are not 30");
    shop.clock.set(moment("2026-12-02T12:00:00Z"));
    shop.work().await;
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE kind LIKE '%Poked'").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'dead'").await, 1, "somebody must decide");
    assert_eq!(shop.number("SELECT sequence FROM outbox").await, 2, "and needs to know of what");
    // Numbers go on where they were.
    relay::poke(&shop, 1, 3).await;
    assert_eq!(shop.number("SELECT max(sequence) FROM outbox").await, 3);
}

async fn a_wiring_that_cannot_be_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let refused = async |wiring: Wiring, words: &str| {
        let why = wiring.check().expect_err("it cannot be");
        assert!(why.contains(words), "{why}");
        assert!(Worker::open(shop.env(), Arc::new(wiring)).await.is_err());
    };
    refused(Wiring::default().every("x", "whenever", nothing), "whenever").await;
    refused(Wiring::default().every("x", "0 0 * * * *", nothing).every("x", "0 1 * * * *", nothing), "two").await;
    assert!(savannah::wiring::wiring(&savannah::payment::Providers::default()).check().is_ok());
    shop.settle().await;
}
