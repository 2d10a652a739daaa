//! The real binary: it opens a shop by itself, keeps what it has, and ends when it is asked to.

use migration::{Migrator, MigratorTrait};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    shop::{Backend, Own, Running, Workplace},
    stories,
};

stories![
    one_command_opens_a_shop,
    it_ends_when_it_is_asked_to,
    it_opens_again_after_a_crash,
    a_fault_is_told_once,
    the_schema_goes_up_and_down,
    production_waits_for_a_person,
    every_command_explains_itself,
    the_contract_is_printed_and_checked,
];

/// A folder of its own, and a database in which there is nothing.
async fn new_place(backend: Backend, vars: &[(&str, &str)]) -> (Workplace, Own) {
    let database = Own::empty(backend).await;
    let url = [("DATABASE_URL", database.url())];
    // On SQLite the default must do.
    let url = if backend == Backend::Postgres { &url[..] } else { &[] };
    (Workplace::new(&[url, vars].concat()), database)
}

async fn count(shop: &Running) -> i64 {
    let answer = shop.ask("{ products { totalCount } }").await;
    answer["data"]["products"]["totalCount"].as_i64().unwrap_or_else(|| panic!("no count in {answer}"))
}

async fn one_command_opens_a_shop(backend: Backend) {
    let (place, database) = new_place(backend, &[]).await;
    let shop = place.open(&[]).await;
    let products = count(&shop).await;
    assert!(products > 20, "{products} products");
    assert!(shop.err().contains("demo catalog"), "{}", shop.err());
    let page = reqwest::get(format!("http://{}/graphiql", shop.address)).await.expect("a page");
    let expected = if savannah::http::graphiql::is_here() { 200 } else { 503 };
    assert_eq!(page.status().as_u16(), expected);
    assert!(shop.out().contains(&format!("http://{}/graphiql", shop.address)), "{}", shop.out());
    let gone = "UPDATE product SET status = 'archived' WHERE slug = 'mug'";
    change(&place, backend, database.url(), gone).await;
    shop.signal("TERM");
    assert_eq!(shop.end().await.code, Some(0));

    // What a second start finds, it keeps as it is.
    let shop = place.open(&[]).await;
    assert_eq!(count(&shop).await, products - 1);
    assert!(!shop.err().contains("demo catalog"), "{}", shop.err());
    for line in shop.err().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// Runs SQL beside the running shop.
async fn change(place: &Workplace, backend: Backend, url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let file = format!("sqlite://{}", place.path().join("data/savannah.db").display());
    let url = if backend == Backend::Sqlite { &file } else { url };
    let db = sea_orm::Database::connect(url).await.expect("a connection");
    db.execute_unprepared(sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    db.close().await.expect("closed");
}

async fn it_ends_when_it_is_asked_to(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let shop = place.open(&[]).await;
    // A request whose head has been read: the shop says so, and waits for the body.
    let body = json!({ "query": "{ product(slug: \"mug\") { name } }" }).to_string();
    let mut stream = TcpStream::connect(&shop.address).await.expect("a connection");
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.expect("told to go on");
    assert_eq!(String::from_utf8_lossy(&told), "HTTP/1.1 100 Continue\r\n\r\n");
    shop.signal("TERM");
    // No new ones from now on.
    let mut tries = 0;
    while TcpStream::connect(&shop.address).await.is_ok() {
        tries += 1;
        assert!(tries < 10_000, "it still listens");
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Savannah Mug"), "{answer}");
    let ended = shop.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // One that never ends is not waited for longer than said.
    let shop = place.open(&[("SAVANNAH_SERVER__SHUTDOWN_GRACE", "0")]).await;
    let mut stream = TcpStream::connect(&shop.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.read_exact(&mut told).await.expect("told to go on");
    shop.signal("INT");
    let ended = shop.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("did not finish in time"), "{ended:?}");
}

async fn it_opens_again_after_a_crash(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let shop = place.open(&[]).await;
    let products = count(&shop).await;
    shop.signal("KILL");
    assert_eq!(shop.end().await.code, None);
    // Also while it fills the shop: either all of the demo catalog is there or it is brought in again.
    let shop = place.open(&[]).await;
    assert_eq!(count(&shop).await, products);
}

async fn a_fault_is_told_once(backend: Backend) {
    let (place, database) = new_place(backend, &[]).await;
    let shop = place.open(&[]).await;
    change(&place, backend, database.url(), "ALTER TABLE product_tag RENAME TO gone").await;
    let request =
        reqwest::Client::new().post(format!("http://{}/graphql", shop.address)).header("x-request-id", "mine");
    let query = json!({ "query": "{ products(first: 20) { nodes { slug tags } } }" });
    let answer: Value = request.json(&query).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "INTERNAL", "requestId": "mine" }), "{answer}");
    let lines: Vec<Value> = shop.err().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["error"].as_str().is_some_and(|error| error.contains("product_tag")), "{told:?}");
    assert!(told[0].to_string().contains("\"id\":\"mine\""), "{told:?}");
    // The rest of the shop goes on.
    assert_eq!(shop.ask("{ product(slug: \"mug\") { name } }").await["data"]["product"]["name"], "Savannah Mug");
}

async fn the_schema_goes_up_and_down(backend: Backend) {
    let (place, _database) = new_place(backend, &[]).await;
    let all = Migrator::migrations().len();
    let migrate = async |args: &[&str], applied: usize| {
        let ended = place.run(&[&["migrate"], args].concat(), &[]).await;
        let says = format!("{applied} of {all} migrations are applied");
        assert!(ended.code == Some(0) && ended.out.contains(&says), "{ended:?}");
    };
    migrate(&[], all).await;
    migrate(&[], all).await;
    migrate(&["--down"], all - 1).await;
    migrate(&[], all).await;
    let shop = place.open(&[]).await;
    let products = count(&shop).await;
    shop.signal("TERM");
    assert_eq!(shop.end().await.code, Some(0));
    migrate(&["--down", &all.to_string()], 0).await;
    migrate(&[], all).await;
    assert_eq!(count(&place.open(&[]).await).await, products);
}

async fn production_waits_for_a_person(backend: Backend) {
    let (place, _database) = new_place(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    if backend == Backend::Postgres {
        let ended = place.run(&["serve"], &[]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let lacks =
            format!("the database lacks {} migrations: run `savannah migrate` first", Migrator::migrations().len());
        assert!(ended.err.contains(&lacks), "{ended:?}");
        assert_eq!(place.run(&["migrate"], &[]).await.code, Some(0));
    }
    let shop = place.open(&[]).await;
    assert_eq!(count(&shop).await, 0, "no demo in front of shoppers");
}

async fn every_command_explains_itself(_: Backend) {
    let place = Workplace::new(&[]);
    let commands: [&[&str]; 16] = [
        &[],
        &["serve"],
        &["migrate"],
        &["seed"],
        &["import"],
        &["import", "products"],
        &["import", "categories"],
        &["export"],
        &["export", "products"],
        &["user"],
        &["user", "create"],
        &["user", "list"],
        &["user", "role"],
        &["user", "disable"],
        &["user", "enable"],
        &["user", "export"],
    ];
    for command in commands.into_iter().chain([&["schema"][..]]) {
        let ended = place.run(&[command, &["--help"]].concat(), &[]).await;
        assert_eq!(ended.code, Some(0), "{command:?}");
        let (_, example) = ended.out.split_once("Example:\n").unwrap_or_else(|| panic!("no example: {ended:?}"));
        assert!(example.contains(&[&["savannah"], command].concat().join(" ")), "{command:?}: {example}");
    }
    let ended = place.run(&["--version"], &[]).await;
    assert_eq!((ended.code, ended.out.trim()), (Some(0), concat!("savannah ", env!("CARGO_PKG_VERSION"))));
}

async fn the_contract_is_printed_and_checked(_: Backend) {
    // It needs no settings, so wrong ones do not matter.
    let place = Workplace::new(&[("DATABASE_URL", "nonsense")]);
    let printed = place.run(&["schema"], &[]).await;
    assert_eq!((printed.code, printed.out.as_str()), (Some(0), include_str!("../schema.graphql")));
    place.write("schema.graphql", &printed.out);
    assert_eq!(place.run(&["schema", "--check", "schema.graphql"], &[]).await.code, Some(0));
    place.write("schema.graphql", &printed.out.replace("price: Decimal!", "price: Float!"));
    let ended = place.run(&["schema", "--check", "schema.graphql"], &[]).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.err, "savannah: schema.graphql is not current: run `savannah schema --write schema.graphql`\n");
    assert_eq!(place.run(&["schema", "--write", "schema.graphql"], &[]).await.code, Some(0));
    assert_eq!(place.run(&["schema", "--check", "schema.graphql"], &[]).await.code, Some(0));
    assert_eq!(place.run(&["schema", "--check", "nothing.graphql"], &[]).await.code, Some(1));
}
