//! Killed in the middle of everything, again and again: what was acknowledged is there once, and all that follows of it.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    shop::{
        Backend, Bought, Crowd, Ended, Goods, Own, Running, Workplace, add_up, address, all_told, number, settled,
        wishes, wrong,
    },
    stories,
};

stories![
    nothing_is_lost_or_doubled_by_twenty_kills,
    one_of_two_dies_and_the_other_goes_on,
    who_is_asked_to_end_under_load_answers_first,
];

const KILLS: u64 = 20;
const BUYERS: usize = 6;
const SERVE: [&str; 2] = ["serve", "--no-demo"];
const SERVE_ONLY: [&str; 3] = ["serve", "--no-demo", "--no-worker"];
/// Work of the dead is taken over after as short a time as may be.
const LEASE: (&str, &str) = ("SAVANNAH_JOBS__LEASE", "3");
const CONNECTIONS: (&str, &str) = ("SAVANNAH_DATABASE__CONNECTIONS", "4");
/// Longer than anything takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Chance that can be had again: `CRASH_SEED` is what was printed.
struct Dice(u64);

impl Dice {
    fn new(story: &str) -> Self {
        let given = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(story));
        eprintln!("{story}: CRASH_SEED={seed}");
        Self(seed)
    }

    /// A pause of so many milliseconds: the moment of a death.
    async fn pause(&mut self, from: u64, to: u64) {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        tokio::time::sleep(Duration::from_millis(from + (mixed ^ (mixed >> 31)) % (to - from))).await;
    }
}

/// A shop with goods, and one of its staff.
struct Stage {
    place: Workplace,
    database: Own,
    goods: Goods,
    password: String,
}

/// Two instances, two workers and their clients share two cores: a connection may take long to come free.
const PATIENT: (&str, &str) = ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30");
/// More than there are orders: every order's confirmation is counted below.
const GUEST_SMS: (&str, &str) = ("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "1000000");
const STAFF: &str = "amani@shop.example";

impl Stage {
    async fn set(backend: Backend) -> Self {
        let database = Own::make(backend).await;
        let place = Workplace::new(&[("DATABASE_URL", database.url()), LEASE, CONNECTIONS, PATIENT, GUEST_SMS]);
        place.write("goods.csv", &Goods::file());
        let ended = place.run(&["import", "products", "goods.csv"], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let ended = place.run(&["user", "create", "--email", STAFF, "--role", "staff"], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let password = ended.out.split_whitespace().last().expect("a password").to_owned();
        let db = database.open().await;
        let goods = Goods::of(&db).await;
        // On SQLite nobody holds the file when the shop dies: whoever opens it next finds it as it was left.
        db.close().await;
        Self { place, database, goods, password }
    }

    async fn crowd(&self, shop: &Running) -> Crowd {
        let input = format!("{{ email: {}, password: {} }}", json!(STAFF), json!(self.password));
        let answer = shop.ask(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
        let token = answer["data"]["login"]["tokens"]["accessToken"].as_str().expect("a token");
        Crowd::gather(BUYERS, &self.goods, token)
    }

    /// Everything that is left to do is done; then whoever is still there ends, and all is as it was told.
    async fn adds_up(self, bought: &[Bought], running: Vec<Running>) {
        let db = self.database.open().await;
        until(
            &db,
            "SELECT (SELECT count(*) FROM outbox WHERE relayed_at IS NULL) + \
            (SELECT count(*) FROM job WHERE state IN ('waiting', 'running'))",
            |left| left == 0,
        )
        .await;
        db.close().await;
        for one in running {
            one.signal("TERM");
            let ended = one.end().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            calm(&ended);
        }
        let db = self.database.open().await;
        let told = messages(&db).await;
        eprintln!("{} orders, {} messages", bought.len(), told.len());
        assert_eq!(kept(&db).await, bought);
        wrong(&db, &WRONGS).await;
        add_up(&db).await;
        settled(&db).await;
        all_told(&db).await;
        assert_eq!(self.sent(), told);
        db.close().await;
    }

    /// What lies in the folder that messages go to.
    fn sent(&self) -> BTreeSet<String> {
        let files = std::fs::read_dir(self.place.path().join("dev/outbox")).expect("a folder");
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect()
    }
}

/// What must never be, besides what goes for every shop.
const WRONGS: [(&str, &str); 4] = [
    (
        "orders that are not one request's",
        "customer_order AS o WHERE 1 <> (SELECT count(*) FROM idempotency AS i \
         WHERE i.made = o.id AND i.key || '@example.com' = o.email)",
    ),
    (
        "orders that are not sent in one parcel",
        "customer_order AS o WHERE (SELECT count(*) FROM fulfilment AS f WHERE f.order_id = o.id) <> \
         CASE WHEN o.status IN ('shipped', 'delivered') THEN 1 ELSE 0 END",
    ),
    (
        "events with gaps between them",
        "(SELECT 1 AS one FROM outbox GROUP BY aggregate HAVING min(sequence) <> 1 OR max(sequence) <> count(*)) AS g",
    ),
    ("deliveries that nobody made", "job WHERE event_id IS NOT NULL AND state <> 'done'"),
];

/// All orders, as their buyers know them.
async fn kept(db: &Db) -> Vec<Bought> {
    let sql = "SELECT replace(email, '@example.com', '') AS key, number, status FROM customer_order";
    let rows = db.owner().query_all_raw(Statement::from_string(db.backend(), sql)).await.expect("rows");
    let text = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).expect("text");
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| Bought { key: text(row, "key"), number: text(row, "number"), status: text(row, "status") })
        .collect();
    all.sort_unstable();
    let keys: HashSet<_> = all.iter().map(|one| &one.key).collect();
    assert_eq!(keys.len(), all.len(), "a request became two orders");
    all
}

/// The files that messages become.
async fn messages(db: &Db) -> BTreeSet<String> {
    let sql = "SELECT id, channel FROM message";
    let rows = db.owner().query_all_raw(Statement::from_string(db.backend(), sql)).await.expect("rows");
    let file = |row: &sea_orm::QueryResult| {
        let (id, channel): (i64, String) =
            (row.try_get("", "id").expect("a key"), row.try_get("", "channel").expect("text"));
        format!("{id}.0.{}", if channel == "sms" { "txt" } else { "eml" })
    };
    rows.iter().map(file).collect()
}

/// It had nothing to complain of.
fn calm(ended: &Ended) {
    for line in ended.err.lines() {
        assert!(!line.contains("panicked") && !line.contains("\"level\":\"ERROR\""), "{line}");
    }
}

async fn killed(shop: Running) {
    shop.signal("KILL");
    let ended = shop.end().await;
    assert_eq!(ended.code, None, "{ended:?}");
    calm(&ended);
}

/// Waits until a query answers what is wanted.
async fn until(db: &Db, sql: &str, enough: impl Fn(i64) -> bool) {
    let began = Instant::now();
    loop {
        let found = number(db, sql).await;
        if enough(found) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{found}: {sql}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn nothing_is_lost_or_doubled_by_twenty_kills(backend: Backend) {
    let stage = Stage::set(backend).await;
    let mut dice = Dice::new(&format!("twenty kills on {}", backend.name()));
    let mut shop = stage.place.open_by(&SERVE, &[]).await;
    let mut crowd = stage.crowd(&shop).await;
    for kill in 1..=KILLS {
        crowd.opens(0, &shop);
        dice.pause(50, 400).await;
        killed(shop).await;
        crowd.closes(0);
        if kill % 5 == 0 {
            // This one dies before anybody can buy.
            let shop = stage.place.begin(&SERVE);
            dice.pause(0, 300).await;
            killed(shop).await;
        }
        shop = stage.place.open_by(&SERVE, &[]).await;
    }
    crowd.opens(0, &shop);
    crowd.buys(6).await;
    let bought = crowd.leaves().await;
    stage.adds_up(&bought, vec![shop]).await;
}

async fn one_of_two_dies_and_the_other_goes_on(backend: Backend) {
    const ROUNDS: usize = 4;
    // SQLite is for one process.
    if backend == Backend::Sqlite {
        return;
    }
    let stage = Stage::set(backend).await;
    let db = stage.database.open().await;
    let mut dice = Dice::new("one of two");
    let open = || stage.place.open_by(&SERVE_ONLY, &[]);
    let work = async || {
        let worker = stage.place.begin(&["worker"]);
        worker.says("has begun").await;
        worker
    };
    let (mut shops, mut workers) = (vec![open().await, open().await], vec![work().await, work().await]);
    let mut crowd = stage.crowd(&shops[0]).await;
    crowd.opens(0, &shops[0]);
    crowd.opens(1, &shops[1]);
    let (mut round, mut left) = (0, 0);
    while round < ROUNDS || left == 0 {
        assert!(round < ROUNDS * 5, "no worker had anything to do when it died");
        let dies = round % 2;
        round += 1;
        crowd.buys(4).await;
        dice.pause(0, 300).await;
        killed(shops.remove(dies)).await;
        crowd.closes(dies);
        dice.pause(0, 200).await;
        let worker = workers.remove(dies);
        let its = format!("SELECT count(*) FROM job WHERE state = 'running' AND worker LIKE '{}-%'", worker.id());
        killed(worker).await;
        left += number(&db, &its).await;
        // The others go on by themselves, with what the dead had begun too.
        let done = "SELECT count(*) FROM job WHERE state = 'done'";
        let before = number(&db, done).await;
        crowd.buys(4).await;
        until(&db, &its, |left| left == 0).await;
        until(&db, done, |now| now > before).await;
        // After the last round nobody comes back.
        if round < ROUNDS || left == 0 {
            shops.insert(dies, open().await);
            crowd.opens(dies, &shops[dies]);
            workers.insert(dies, work().await);
        }
    }
    let bought = crowd.leaves().await;
    db.close().await;
    shops.append(&mut workers);
    stage.adds_up(&bought, shops).await;
}

async fn who_is_asked_to_end_under_load_answers_first(backend: Backend) {
    const WAITING: usize = 8;
    let stage = Stage::set(backend).await;
    let shop = stage.place.open_by(&SERVE, &[]).await;
    let mut crowd = stage.crowd(&shop).await;
    crowd.opens(0, &shop);
    crowd.buys(12).await;
    // Requests whose heads were read: they are accepted.
    let mut accepted = Vec::new();
    for n in 0..WAITING {
        let key = format!("late-{n}");
        let input = json!({ "idempotencyKey": key, "email": format!("{key}@example.com"), "shippingAddress": address(),
            "items": wishes(&stage.goods.some(n * 5 + 1)) });
        let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { number status } } }";
        let body = json!({ "query": query, "variables": { "input": input } }).to_string();
        accepted.push((key, Late::begin(&shop.address, body).await));
    }
    shop.signal("TERM");
    crowd.closes(0);
    shop.says("running requests may finish").await;
    let mut late = Vec::new();
    for (key, one) in accepted {
        let made = one.ends().await;
        let text = |name: &str| made["data"]["orderCreate"]["order"][name].as_str().expect("an order").to_owned();
        late.push(Bought { key, number: text("number"), status: text("status").to_lowercase() });
    }
    let ended = shop.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    calm(&ended);
    assert!(!ended.err.contains("did not finish in time"), "{ended:?}");
    let db = stage.database.open().await;
    assert_eq!(number(&db, "SELECT count(*) FROM job WHERE state = 'running'").await, 0, "work that nobody does");
    add_up(&db).await;
    db.close().await;
    let shop = stage.place.open_by(&SERVE, &[]).await;
    crowd.opens(0, &shop);
    crowd.buys(6).await;
    let mut bought = crowd.leaves().await;
    bought.extend(late);
    bought.sort_unstable();
    stage.adds_up(&bought, vec![shop]).await;
}

/// A request that has begun.
struct Late {
    stream: TcpStream,
    body: String,
}

impl Late {
    async fn begin(address: &str, body: String) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
        let head = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.expect("told to go on");
        assert_eq!(String::from_utf8_lossy(&told), "HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    async fn ends(mut self) -> Value {
        self.stream.write_all(self.body.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {answer}"))
    }
}
