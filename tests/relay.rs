//! Events reach their reactions: each once, in the order of what they happened to, whatever happens to others.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait};
use savannah::{
    base::{Error, Result, error::Code},
    identity::Role,
    infra::{
        Tx,
        jobs::{Wiring, register},
        outbox::{Event, Told},
    },
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    shop::{Backend, Shop, moment},
    stories,
};

stories![
    every_event_reaches_each_reaction_once,
    one_thing_is_told_in_its_order,
    what_fails_for_good_is_a_dead_letter_and_others_go_on,
    staff_try_again_and_let_go,
    events_of_one_thing_are_numbered_without_a_gap,
    a_worker_that_was_taken_away_leaves_nothing_half_done,
    many_at_once_fail_alone,
    who_finds_nothing_to_do_writes_nothing,
    a_worker_of_the_version_before_loses_nothing,
    the_database_keeps_the_rules,
    events_from_before_are_numbered_and_old_news,
];

/// Shorter than anybody waits for a writer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Something happened to a thing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Poked {
    pub thing: i64,
    pub number: i64,
}

impl Event for Poked {
    const KIND: &'static str = "Poked";

    fn aggregate(&self) -> String {
        format!("thing:{}", self.thing)
    }
}

/// Writes down what it heard.
pub async fn steady(tx: &Tx, told: &Told<Poked>) -> Result<()> {
    note(tx, "steady", told).await
}

/// The same, but there are pokes that it cannot bear.
pub async fn touchy(tx: &Tx, told: &Told<Poked>) -> Result<()> {
    note(tx, "touchy", told).await?;
    let mut sql = tx.sql();
    sql.push("SELECT how FROM trouble WHERE number = ").bind(told.event.number);
    let Some(row) = tx.query_one_raw(sql.statement()).await? else { return Ok(()) };
    let how: String = row.try_get("", "how")?;
    assert!(how != "panic", "as the story wants it");
    if how == "fault" {
        let mut sql = tx.sql();
        sql.push("SELECT password FROM nowhere");
        tx.query_one_raw(sql.statement()).await?;
    }
    Err(Error::user(Code::NotFound, "", "there is no such leg"))
}

async fn note(tx: &Tx, who: &str, told: &Told<Poked>) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("INSERT INTO heard (who, event, thing, number) VALUES (").bind(who).push(", ").bind(told.id);
    sql.push(", ").bind(told.event.thing).push(", ").bind(told.event.number).push(")");
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// A shop in which two hear of pokes, and the tables in which a story sees what they did.
pub async fn open(backend: Backend, settings: &[(&str, &str)]) -> Shop {
    let mut shop = Shop::open_with(backend, settings).await;
    shop.wiring = Arc::new(Wiring::default().on::<Poked>("steady", steady).on::<Poked>("touchy", touchy));
    let key = if backend == Backend::Sqlite { "INTEGER PRIMARY KEY" } else { "BIGSERIAL PRIMARY KEY" };
    let heard = format!("CREATE TABLE heard (id {key}, who TEXT, event BIGINT, thing BIGINT, number BIGINT)");
    shop.sql(&heard).await.expect("a table");
    shop.sql("CREATE TABLE trouble (number BIGINT, how TEXT)").await.expect("a table");
    shop
}

pub async fn poke(shop: &Shop, thing: i64, number: i64) {
    let emitted = shop.db.write(async |tx| tx.emit(Poked { thing, number }).await).await;
    emitted.unwrap_or_else(|why| panic!("not emitted: {}", why.log()));
}

/// The numbers that somebody heard of, in the order of hearing.
pub async fn heard(shop: &Shop, who: &str, thing: i64) -> Vec<i64> {
    let mut sql = shop.db.sql();
    sql.push("SELECT number FROM heard WHERE who = ").bind(who).push(" AND thing = ").bind(thing).push(" ORDER BY id");
    let rows = shop.db.owner().query_all_raw(sql.statement()).await.expect("rows");
    rows.iter().map(|row| row.try_get("", "number").expect("a number")).collect()
}

async fn every_event_reaches_each_reaction_once(backend: Backend) {
    let shop = open(backend, &[]).await;
    for number in 1..=3 {
        poke(&shop, number % 2, number).await;
    }
    shop.work().await;
    for who in ["steady", "touchy"] {
        assert_eq!((heard(&shop, who, 0).await, heard(&shop, who, 1).await), (vec![2], vec![1, 3]));
    }
    // Told again, it is known already.
    shop.sql("UPDATE outbox SET relayed_at = NULL").await.expect("a change");
    shop.settle().await;
    assert_eq!(shop.number("SELECT count(*) FROM heard").await, 6);
    assert_eq!(shop.number("SELECT count(DISTINCT event) FROM heard").await, 3);
}

async fn one_thing_is_told_in_its_order(backend: Backend) {
    let shop = open(backend, &[]).await;
    shop.sql("INSERT INTO trouble VALUES (1, 'words')").await.expect("trouble");
    for number in 1..=3 {
        poke(&shop, 1, number).await;
    }
    poke(&shop, 2, 4).await;
    shop.work().await;
    assert_eq!(heard(&shop, "touchy", 1).await, [0; 0]);
    assert_eq!(heard(&shop, "touchy", 2).await, [4], "another thing does not wait");
    assert_eq!(heard(&shop, "steady", 1).await, [1, 2, 3], "another reaction does not wait");
    shop.sql("DELETE FROM trouble").await.expect("peace");
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    shop.settle().await;
    assert_eq!(heard(&shop, "touchy", 1).await, [1, 2, 3]);
}

async fn what_fails_for_good_is_a_dead_letter_and_others_go_on(backend: Backend) {
    let shop = open(backend, &[("SAVANNAH_JOBS__ATTEMPTS", "3")]).await;
    shop.sql("INSERT INTO trouble VALUES (1, 'fault'), (2, 'panic')").await.expect("trouble");
    for number in 1..=3 {
        poke(&shop, 1, number).await;
    }
    let attempts = "SELECT sum(attempts) FROM job WHERE state IN ('waiting', 'dead') AND last_error IS NOT NULL";
    for (hour, tried) in [(10, 1), (11, 2), (12, 4), (13, 5), (14, 6)] {
        shop.work().await;
        assert_eq!(shop.number(attempts).await, tried, "before {hour}");
        // Nothing is tried before its time.
        assert_eq!(shop.work().await, 0);
        shop.clock.set(moment(&format!("2026-11-01T{hour}:00:00Z")));
    }
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'dead' AND attempts = 3").await, 2);
    assert_eq!(heard(&shop, "touchy", 1).await, [3]);
    assert_eq!(heard(&shop, "steady", 1).await, [1, 2, 3]);
    let untold = "SELECT count(*) FROM job WHERE last_error LIKE '%nowhere%' OR last_error LIKE '%password%'";
    assert_eq!(shop.number(untold).await, 0, "what staff read holds no SQL");
}

const JOBS: &str =
    "query($filter: JobFilter, $first: Int, $after: String) { jobs(filter: $filter, first: $first, after: $after) {
    nodes { id kind queue state about attempts error dueAt } pageInfo { hasNextPage endCursor } } }";

async fn staff_try_again_and_let_go(backend: Backend) {
    let shop = open(backend, &[("SAVANNAH_JOBS__ATTEMPTS", "1")]).await;
    shop.sql("INSERT INTO trouble VALUES (1, 'words'), (2, 'words')").await.expect("trouble");
    for number in 1..=3 {
        poke(&shop, 7, number).await;
    }
    shop.work().await;
    let admin = shop.sign_in(Role::Admin).await;
    let dead = json!({ "filter": { "state": "DEAD" } });
    let list = shop.ask_as(&admin, JOBS, dead.clone()).await;
    assert_eq!(list.texts("/jobs/nodes", "kind"), ["touchy/Poked", "touchy/Poked"]);
    assert_eq!(list.texts("/jobs/nodes", "about"), ["thing:7", "thing:7"]);
    assert_eq!(list.texts("/jobs/nodes", "error"), ["there is no such leg", "there is no such leg"]);
    assert_eq!(list.at("/jobs/nodes/0/attempts"), 1);
    let ids = list.texts("/jobs/nodes", "id");
    let page = shop.ask_as(&admin, JOBS, json!({ "first": 1, "filter": { "queue": "touchy" } })).await;
    let after = page.at("/jobs/pageInfo/endCursor");
    let page = shop.ask_as(&admin, JOBS, json!({ "first": 5, "after": after, "filter": { "queue": "touchy" } })).await;
    assert_eq!(page.at("/jobs/nodes").as_array().map(Vec::len), Some(2));

    let decide = async |mutation: &str, id: &str| {
        let text =
            format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ job {{ state }} userErrors {{ code field }} }} }}");
        shop.ask_as(&admin, &text, json!({ "id": id })).await
    };
    shop.sql("DELETE FROM trouble").await.expect("peace");
    assert_eq!(decide("jobRetry", &ids[0]).await.at("/jobRetry/job/state"), "WAITING");
    assert_eq!(decide("jobDiscard", &ids[1]).await.at("/jobDiscard/job/state"), "DISCARDED");
    shop.settle().await;
    assert_eq!(heard(&shop, "touchy", 7).await, [3, 2]);
    for mutation in ["jobRetry", "jobDiscard"] {
        let refused = [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())];
        assert_eq!(decide(mutation, &ids[0]).await.problems(mutation), refused, "it is done");
        let none = savannah::base::GlobalId::new(savannah::base::id::Kind::Job, 4711).encode();
        assert_eq!(decide(mutation, &none).await.problems(mutation), [("NOT_FOUND".to_owned(), "id".to_owned())]);
    }
    assert_eq!(decide("jobRetry", &ids[1]).await.at("/jobRetry/job/state"), "WAITING");
    shop.settle().await;
    assert_eq!(heard(&shop, "touchy", 7).await, [3, 2, 1]);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action IN ('job.retry', 'job.discard')").await, 3);
    let staff = shop.sign_in(Role::Customer).await;
    assert_eq!(shop.ask_as(&staff, JOBS, dead).await.code(), "FORBIDDEN");
}

async fn events_of_one_thing_are_numbered_without_a_gap(backend: Backend) {
    let shop = open(backend, &[("SAVANNAH_DATABASE__CONNECTIONS", "16")]).await;
    let emitter = async |emitter: i64| {
        for round in 0..6 {
            let number = emitter * 100 + round;
            let outcome = shop.db.write(async |tx| {
                tx.emit(Poked { thing: 1, number }).await?;
                if number % 3 == 0 { Err(Error::bad_input("", "the story says no")) } else { Ok(()) }
            });
            assert_eq!(outcome.await.is_ok(), number % 3 != 0);
        }
    };
    join_all((0..16).map(emitter)).await;
    let kept = (0..16).flat_map(|emitter| (0..6).map(move |round| emitter * 100 + round)).filter(|one| one % 3 != 0);
    let kept = i64::try_from(kept.count()).expect("a number");
    assert_eq!(shop.number("SELECT count(DISTINCT sequence) FROM outbox").await, kept);
    assert_eq!(shop.number("SELECT min(sequence) * 1000 + max(sequence) FROM outbox").await, 1000 + kept);
    let turned = "SELECT count(*) FROM outbox AS a JOIN outbox AS b ON a.id < b.id AND a.sequence > b.sequence";
    assert_eq!(shop.number(turned).await, 0, "keys follow the numbers");
    shop.settle().await;
    let order =
        "SELECT count(*) FROM heard AS a JOIN heard AS b ON a.who = b.who AND a.id < b.id AND a.event > b.event";
    assert_eq!(shop.number(order).await, 0, "told in their order");
    assert_eq!(shop.number("SELECT count(*) FROM heard").await, 2 * kept);
}

async fn a_worker_that_was_taken_away_leaves_nothing_half_done(backend: Backend) {
    let shop = open(backend, &[]).await;
    poke(&shop, 1, 1).await;
    poke(&shop, 1, 2).await;
    shop.worker().await.drain().await.expect("work");
    // As it was when a worker had begun, and was gone before its transaction was committed.
    let begun = "UPDATE job SET state = 'running', worker = 'gone', attempts = 1, due_at = created_at";
    shop.sql("DELETE FROM heard").await.expect("nothing heard");
    shop.sql(begun).await.expect("a change");
    let lease = if backend == Backend::Sqlite { "'2026-11-01T09:01:00+00:00'" } else { "'2026-11-01T09:01:00Z'" };
    shop.sql(&format!("UPDATE job SET due_at = {lease}")).await.expect("a lease");
    assert_eq!(shop.work().await, 0, "it may still come back");
    shop.clock.set(moment("2026-11-01T09:01:00Z"));
    shop.settle().await;
    assert_eq!(heard(&shop, "steady", 1).await, [1, 2]);
    assert_eq!(heard(&shop, "touchy", 1).await, [1, 2]);
    assert_eq!(shop.number("SELECT min(attempts) FROM job").await, 2);
}

async fn many_at_once_fail_alone(backend: Backend) {
    let shop = open(backend, &[]).await;
    shop.sql("INSERT INTO trouble VALUES (13, 'fault'), (21, 'panic')").await.expect("trouble");
    for number in 1..=50 {
        poke(&shop, number, number).await;
    }
    shop.work().await;
    assert_eq!(shop.number("SELECT count(*) FROM heard WHERE who = 'touchy'").await, 48);
    assert_eq!(shop.number("SELECT count(DISTINCT event) FROM heard WHERE who = 'touchy'").await, 48);
    assert_eq!(shop.number("SELECT count(*) FROM job WHERE state = 'waiting'").await, 2);
}

async fn who_finds_nothing_to_do_writes_nothing(backend: Backend) {
    let shop = open(backend, &[]).await;
    shop.sql("INSERT INTO trouble VALUES (1, 'words')").await.expect("trouble");
    poke(&shop, 1, 1).await;
    poke(&shop, 1, 2).await;
    shop.work().await;
    let worker = shop.worker().await;
    // On SQLite somebody else has the one writer. What waits is not due, or waits for what is not.
    let done =
        shop.db.write(async |_| tokio::time::timeout(PATIENCE, worker.drain()).await.expect("no writer is needed"));
    assert_eq!(done.await.unwrap_or_else(|why| panic!("{}", why.log())), 0);
    assert_eq!(heard(&shop, "touchy", 1).await, [0; 0]);
}

async fn a_worker_of_the_version_before_loses_nothing(backend: Backend) {
    let mut shop = open(backend, &[]).await;
    let next = Arc::clone(&shop.wiring);
    let known = register(&shop.db, &next).await;
    assert!(known.is_ok(), "an instance of the next version has started");
    shop.wiring = Arc::new(Wiring::default().on::<Poked>("steady", steady));
    poke(&shop, 1, 1).await;
    shop.settle().await;
    assert_eq!((heard(&shop, "steady", 1).await, heard(&shop, "touchy", 1).await), (vec![1], vec![]));
    shop.wiring = next;
    shop.settle().await;
    assert_eq!((heard(&shop, "steady", 1).await, heard(&shop, "touchy", 1).await), (vec![1], vec![1]));
}

async fn events_from_before_are_numbered_and_old_news(backend: Backend) {
    let shop = open(backend, &[]).await;
    let newest = Migrator::migrations().iter().position(|one| one.name().ends_with("_000011_jobs"));
    let steps = Migrator::migrations().len() - newest.expect("the migration");
    let steps = u32::try_from(steps).expect("a few");
    Migrator::down(shop.db.owner(), Some(steps)).await.expect("the way back");
    for (number, aggregate) in ["thing:1", "thing:2", "thing:1", "thing:1"].iter().enumerate() {
        let payload = format!("'{{\"thing\": 1, \"number\": {number}}}'");
        let old = format!(
            "INSERT INTO outbox (kind, aggregate, payload, created_at) \
             SELECT 'Poked', '{aggregate}', {payload}, created_at FROM shop"
        );
        shop.sql(&old).await.expect("an event of the version before");
    }
    Migrator::up(shop.db.owner(), None).await.expect("the way there");
    assert_eq!(shop.number("SELECT sum(sequence) FROM outbox WHERE aggregate = 'thing:1'").await, 6);
    assert_eq!(shop.number("SELECT sequence FROM outbox WHERE aggregate = 'thing:2'").await, 1);
    assert_eq!(shop.work().await, 0, "nobody is told of what was long ago");
    poke(&shop, 1, 9).await;
    assert_eq!(shop.number("SELECT max(sequence) FROM outbox").await, 4);
    shop.settle().await;
    assert_eq!(heard(&shop, "steady", 1).await, [9]);
}

async fn the_database_keeps_the_rules(backend: Backend) {
    let shop = open(backend, &[]).await;
    poke(&shop, 1, 1).await;
    poke(&shop, 1, 2).await;
    shop.settle().await;
    let columns =
        "queue, kind, event_id, payload, lane, state, due_at, attempts, worker, last_error, created_at, updated_at";
    let job = |values: &str| {
        format!("INSERT INTO job ({columns}) SELECT {values}, created_at, created_at FROM outbox LIMIT 1")
    };
    let wrong = [
        "UPDATE outbox SET sequence = 1".to_owned(),
        "UPDATE outbox SET sequence = 0 WHERE sequence = 1".to_owned(),
        "DELETE FROM outbox".to_owned(),
        "UPDATE job SET state = 'asleep'".to_owned(),
        "UPDATE job SET state = 'waiting'".to_owned(),
        "UPDATE job SET state = 'running', due_at = created_at".to_owned(),
        "UPDATE job SET state = 'dead'".to_owned(),
        "UPDATE job SET attempts = -1".to_owned(),
        "UPDATE job SET worker = 'me'".to_owned(),
        "UPDATE job SET event_id = NULL".to_owned(),
        "UPDATE job SET event_id = 4711".to_owned(),
        "UPDATE job SET lane = NULL".to_owned(),
        job("'q', 'k', NULL, '{}', NULL, 'waiting', NULL, 0, NULL, NULL"),
        job("'', 'k', NULL, '{}', NULL, 'waiting', created_at, 0, NULL, NULL"),
        job("'q', 'k', NULL, '{}', NULL, 'running', created_at, 0, 'me', NULL"),
        job("'q', 'k', id, '{}', 'l', 'waiting', created_at, 0, NULL, NULL"),
        job("'steady', 'steady/Poked', id, NULL, 'l', 'waiting', created_at, 0, NULL, NULL"),
        "INSERT INTO schedule SELECT 'x', '', created_at, NULL, created_at, created_at FROM outbox".to_owned(),
        "INSERT INTO schedule SELECT 'x', 'x', created_at, created_at, created_at, created_at FROM outbox".to_owned(),
    ];
    for sql in wrong {
        assert!(shop.sql(&sql).await.is_err(), "the database took: {sql}");
    }
    // A version of the shop that knows nothing of numbers writes them too.
    let old = "INSERT INTO outbox (kind, aggregate, payload, created_at) SELECT kind, aggregate, payload, created_at \
        FROM outbox WHERE sequence = 2";
    shop.sql(old).await.expect("an event");
    assert_eq!(shop.number("SELECT max(sequence) FROM outbox").await, 3);
    shop.settle().await;
    assert_eq!(heard(&shop, "steady", 1).await, [1, 2, 2]);
}
