//! What stops the binary: one sentence that names it on standard error, and an end that is no success.

use crate::{
    shop::{Backend, Ended, Own, Workplace},
    stories,
};

stories![
    settings_that_cannot_be,
    a_file_of_settings_that_cannot_be,
    databases_that_cannot_be_opened,
    servers_that_let_nobody_in,
    a_port_that_is_taken,
    a_currency_that_was_another,
    commands_that_are_none,
    files_that_are_none,
];

/// It ended with one sentence, which holds these words, and no trace of a panic.
fn one_sentence(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let err = ended.err.trim_end();
    let lines: Vec<_> = err.lines().filter(|line| !line.starts_with('{')).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("savannah: "), "{ended:?}");
    for word in words {
        assert!(lines[0].contains(word), "no {word} in {err}");
    }
    for word in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "Error("] {
        assert!(!err.contains(word), "{word} in {err}");
    }
    assert!(ended.out.is_empty(), "{ended:?}");
}

async fn settings_that_cannot_be(_: Backend) {
    let place = Workplace::new(&[]);
    let cases: [(&str, &str, &[&str]); 17] = [
        ("SAVANNAH_SHOP__NAEM", "x", &["unknown setting SAVANNAH_SHOP__NAEM", "did you mean SAVANNAH_SHOP__NAME?"]),
        ("SAVANNAH_GRAPHQL__MAXDEPTH", "x", &["did you mean SAVANNAH_GRAPHQL__MAX_DEPTH?"]),
        ("SAVANNAH_GRAPHQL__MAX_DEPTH", "deep", &["SAVANNAH_GRAPHQL__MAX_DEPTH", "deep"]),
        ("SAVANNAH_GRAPHQL__MAX_DEPTH", "-1", &["SAVANNAH_GRAPHQL__MAX_DEPTH", "-1"]),
        ("SAVANNAH_GRAPHQL__TIMING", "maybe", &["SAVANNAH_GRAPHQL__TIMING", "maybe", "auto"]),
        ("SAVANNAH_SHOP__MODE", "staging", &["SAVANNAH_SHOP__MODE", "staging", "production"]),
        ("SAVANNAH_SHOP__CURRENCY", "KSH", &["SAVANNAH_SHOP__CURRENCY", "KSH"]),
        ("SAVANNAH_SERVER__REQUEST_TIMEOUT", "1.5", &["SAVANNAH_SERVER__REQUEST_TIMEOUT"]),
        ("SAVANNAH_SERVER__CORS_ORIGINS", "shop.example", &["server.cors_origins", "shop.example"]),
        ("SAVANNAH_LOG__FORMAT", "xml", &["SAVANNAH_LOG__FORMAT", "xml"]),
        ("RUST_LOG", "savannah=loud", &["RUST_LOG", "savannah=loud"]),
        ("BIND_ADDR", "8000", &["BIND_ADDR", "8000"]),
        ("BIND_ADDR", "localhost:http", &["BIND_ADDR", "localhost:http"]),
        ("BIND_ADDR", "192.0.2.1:0", &["192.0.2.1:0"]),
        ("DATABASE_URL", "mysql://me:secret@db/shop", &["DATABASE_URL", "sqlite://", "postgres://"]),
        ("DATABASE_URL", "", &["DATABASE_URL"]),
        ("DATABASE_URL", "postgres://me:secret@db:port/shop", &["DATABASE_URL"]),
    ];
    for (name, value, words) in cases {
        let ended = place.run(&[], &[(name, value)]).await;
        one_sentence(&ended, 1, words);
        assert!(!ended.err.contains("secret"), "{ended:?}");
    }
    // What is not ours to know is not looked at.
    let ended =
        place.run(&["migrate"], &[("SAVANNAH", "x"), ("SAVANNAH_GRAPHIQL_DIR", "x"), ("SAVANNAHS__X", "y")]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

async fn a_file_of_settings_that_cannot_be(_: Backend) {
    let place = Workplace::new(&[]);
    let cases: [(&str, &[&str]); 7] = [
        ("[shop]\nnam = \"x\"", &["unknown setting shop.nam in savannah.toml", "did you mean shop.name?"]),
        ("[shpo]\nname = \"x\"", &["shpo.name", "savannah.toml", "shop.name"]),
        ("name = \"x\"", &["unknown setting name in savannah.toml"]),
        ("[graphql]\nmax_depth = \"deep\"", &["graphql.max_depth in savannah.toml", "deep"]),
        ("[server]\ncors_origins = \"x\"", &["server.cors_origins"]),
        ("[shop\nname = 1", &["savannah.toml"]),
        ("[shop]\nname = [1]", &["shop.name in savannah.toml"]),
    ];
    for (text, words) in cases {
        place.write("savannah.toml", text);
        one_sentence(&place.run(&[], &[]).await, 1, words);
    }
    // The environment has the last word.
    place.write("savannah.toml", "[shop]\nname = \"By File\"\ncurrency = \"EUR\"\n[graphql]\nmax_depth = 7\n");
    let shop = place.open(&[("SAVANNAH_SHOP__NAME", "By Environment")]).await;
    let answer = shop.ask("{ shop { name currency } }").await;
    assert_eq!(answer["data"]["shop"], serde_json::json!({ "name": "By Environment", "currency": "EUR" }));
}

async fn databases_that_cannot_be_opened(_: Backend) {
    let place = Workplace::new(&[]);
    place.write(
        "file",
        "this is a file, and no database, and it is long enough to be seen to be none".repeat(20).as_str(),
    );
    let cases: [(&str, &[&str]); 5] = [
        ("postgres://me:secret@127.0.0.1:1/shop", &["127.0.0.1:1/shop", "refused"]),
        ("postgres://me:secret@nowhere.invalid/shop?password=secret", &["nowhere.invalid/shop"]),
        ("sqlite://file/shop.db", &["cannot make the folder file"]),
        ("sqlite:///proc/nowhere/shop.db", &["/proc/nowhere"]),
        ("sqlite://file", &["file", "not a database"]),
    ];
    for (url, words) in cases {
        for command in [&["serve"][..], &["migrate"], &["export", "products"]] {
            let ended = place.run(command, &[("DATABASE_URL", url)]).await;
            one_sentence(&ended, 1, words);
            assert!(!ended.err.contains("secret"), "{ended:?}");
        }
    }
}

async fn servers_that_let_nobody_in(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let database = Own::empty(backend).await;
    let (server, name) = database.url().rsplit_once('/').expect("an address");
    let (_, host) = server.rsplit_once('@').or_else(|| server.rsplit_once('/')).expect("a host");
    let place = Workplace::new(&[]);
    let stranger = format!("postgres://nobody_here:secret@{host}/{name}");
    let ended = place.run(&[], &[("DATABASE_URL", &stranger)]).await;
    one_sentence(&ended, 1, &[host, "nobody_here"]);
    assert!(!ended.err.contains("secret"), "{ended:?}");
    let ended = place.run(&[], &[("DATABASE_URL", &format!("{server}/nothing_here"))]).await;
    one_sentence(&ended, 1, &["nothing_here", "does not exist"]);
}

async fn a_port_that_is_taken(_: Backend) {
    let place = Workplace::new(&[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = place.run(&[], &[("BIND_ADDR", &address)]).await;
    one_sentence(&ended, 1, &[&address, "is taken", "BIND_ADDR"]);
    assert!(!place.path().join("data").exists(), "nothing is made before");
}

async fn a_currency_that_was_another(backend: Backend) {
    let database = Own::make(backend).await;
    let place = Workplace::new(&[("DATABASE_URL", database.url())]);
    let shop = place.open(&[("SAVANNAH_SHOP__CURRENCY", "EUR")]).await;
    shop.signal("TERM");
    assert_eq!(shop.end().await.code, Some(0));
    for command in [&["serve"][..], &["seed"], &["export", "products"]] {
        let ended = place.run(command, &[]).await;
        one_sentence(&ended, 1, &["EUR", "KES", "SAVANNAH_SHOP__CURRENCY=EUR"]);
    }
}

async fn commands_that_are_none(_: Backend) {
    let place = Workplace::new(&[]);
    let cases: [(&[&str], &str); 6] = [
        (&["sereve"], "serve"),
        (&["serve", "--nodemo"], "--no-demo"),
        (&["import"], "products"),
        (&["import", "products"], "FILE"),
        (&["seed", "--products", "many"], "many"),
        (&["migrate", "--down", "-1"], "-1"),
    ];
    for (command, word) in cases {
        let ended = place.run(command, &[]).await;
        assert!(ended.code == Some(2) && ended.err.contains(word) && !ended.err.contains("panicked"), "{ended:?}");
    }
    assert!(!place.path().join("data").exists(), "nothing is made");
}

async fn files_that_are_none(backend: Backend) {
    let database = Own::make(backend).await;
    let place = Workplace::new(&[("DATABASE_URL", database.url())]);
    std::fs::create_dir(place.path().join("folder")).expect("a folder");
    let good = place.write("good.csv", "Handle,Title\n");
    for what in ["products", "categories"] {
        let good = good.to_str().expect("a path");
        for (file, words) in [("nothing.csv", ["nothing.csv", "No such file"]), ("folder", ["folder", "directory"])] {
            one_sentence(&place.run(&["import", what, file], &[]).await, 1, &words);
            // What comes after a good one is looked at before that is brought in.
            one_sentence(&place.run(&["import", what, good, file], &[]).await, 1, &words);
        }
    }
    let ended = place.run(&["export", "products", "--output", "nowhere/out.csv"], &[]).await;
    one_sentence(&ended, 1, &["cannot write nowhere/out.csv"]);
}
