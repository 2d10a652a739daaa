//! Startup errors of the binary: one line on standard error that names the cause, and a non-zero exit code.

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, ExitedProcess, TestDatabase},
};

integration_tests![
    invalid_settings_are_reported,
    invalid_settings_file_is_reported,
    unreachable_databases_are_reported,
    rejected_database_login_is_reported,
    port_in_use_is_reported,
    changed_currency_is_reported,
    unknown_commands_are_reported,
    missing_files_are_reported,
];

/// Asserts one error line that contains the expected words, without a panic message.
fn assert_single_error_line(exited: &ExitedProcess, code: i32, expected: &[&str]) {
    assert_eq!(exited.exit_code, Some(code), "{exited:?}");
    let err = exited.stderr.trim_end();
    let lines: Vec<_> = err.lines().filter(|line| !line.starts_with('{')).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("savannah: "), "{exited:?}");
    for text in expected {
        assert!(lines[0].contains(text), "no {text} in {err}");
    }
    for text in ["panicked", "RUST_BACKTRACE", "Error {", "Some(", "Error("] {
        assert!(!err.contains(text), "{text} in {err}");
    }
    assert!(exited.stdout.is_empty(), "{exited:?}");
}

async fn invalid_settings_are_reported(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let cases: [(&str, &str, &[&str]); 17] = [
        ("SAVANNAH_SHOP__NAEM", "x", &["unknown setting SAVANNAH_SHOP__NAEM", "did you mean SAVANNAH_SHOP__NAME?"]),
        ("SAVANNAH_GRAPHQL__MAXDEPTH", "x", &["did you mean SAVANNAH_GRAPHQL__MAX_DEPTH?"]),
        ("SAVANNAH_GRAPHQL__MAX_DEPTH", "deep", &["SAVANNAH_GRAPHQL__MAX_DEPTH", "deep"]),
        ("SAVANNAH_GRAPHQL__MAX_DEPTH", "-1", &["SAVANNAH_GRAPHQL__MAX_DEPTH", "-1"]),
        ("SAVANNAH_GRAPHQL__SERVER_TIMING", "maybe", &["SAVANNAH_GRAPHQL__SERVER_TIMING", "maybe", "auto"]),
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
    for (name, value, expected) in cases {
        let exited = sandbox.run_command(&[], &[(name, value)]).await;
        assert_single_error_line(&exited, 1, expected);
        assert!(!exited.stderr.contains("secret"), "{exited:?}");
    }
    // Environment variables that are not settings are ignored.
    let exited = sandbox
        .run_command(&["migrate"], &[("SAVANNAH", "x"), ("SAVANNAH_GRAPHIQL_DIR", "x"), ("SAVANNAHS__X", "y")])
        .await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
}

async fn invalid_settings_file_is_reported(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let cases: [(&str, &[&str]); 7] = [
        ("[shop]\nnam = \"x\"", &["unknown setting shop.nam in savannah.toml", "did you mean shop.name?"]),
        ("[shpo]\nname = \"x\"", &["shpo.name", "savannah.toml", "shop.name"]),
        ("name = \"x\"", &["unknown setting name in savannah.toml"]),
        ("[graphql]\nmax_depth = \"deep\"", &["graphql.max_depth in savannah.toml", "deep"]),
        ("[server]\ncors_origins = \"x\"", &["server.cors_origins"]),
        ("[shop\nname = 1", &["savannah.toml"]),
        ("[shop]\nname = [1]", &["shop.name in savannah.toml"]),
    ];
    for (text, expected) in cases {
        sandbox.write_file("savannah.toml", text);
        assert_single_error_line(&sandbox.run_command(&[], &[]).await, 1, expected);
    }
    // Environment variables override the file.
    sandbox.write_file("savannah.toml", "[shop]\nname = \"By File\"\ncurrency = \"EUR\"\n[graphql]\nmax_depth = 7\n");
    let server = sandbox.start_server(&[("SAVANNAH_SHOP__NAME", "By Environment")]).await;
    let response = server.query("{ shop { name currency } }").await;
    assert_eq!(response["data"]["shop"], serde_json::json!({ "name": "By Environment", "currency": "EUR" }));
}

async fn unreachable_databases_are_reported(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    sandbox.write_file(
        "file",
        "this is a file, and no database, and it is long enough to be seen to be none".repeat(20).as_str(),
    );
    let cases: [(&str, &[&str]); 5] = [
        ("postgres://me:secret@127.0.0.1:1/shop", &["127.0.0.1:1/shop", "refused"]),
        ("postgres://me:secret@nowhere.invalid/shop?password=secret", &["nowhere.invalid/shop"]),
        ("sqlite://file/shop.db", &["cannot create the directory file"]),
        ("sqlite:///proc/nowhere/shop.db", &["/proc/nowhere"]),
        ("sqlite://file", &["file", "not a database"]),
    ];
    for (url, expected) in cases {
        for command in [&["serve"][..], &["migrate"], &["export", "products"]] {
            let exited = sandbox.run_command(command, &[("DATABASE_URL", url)]).await;
            assert_single_error_line(&exited, 1, expected);
            assert!(!exited.stderr.contains("secret"), "{exited:?}");
        }
    }
}

async fn rejected_database_login_is_reported(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let database = TestDatabase::create_empty(backend).await;
    let (server, name) = database.url().rsplit_once('/').expect("an address");
    let (_, host) = server.rsplit_once('@').or_else(|| server.rsplit_once('/')).expect("a host");
    let sandbox = CliSandbox::new(&[]);
    let stranger_url = format!("postgres://nobody_here:secret@{host}/{name}");
    let exited = sandbox.run_command(&[], &[("DATABASE_URL", &stranger_url)]).await;
    assert_single_error_line(&exited, 1, &[host, "nobody_here"]);
    assert!(!exited.stderr.contains("secret"), "{exited:?}");
    let exited = sandbox.run_command(&[], &[("DATABASE_URL", &format!("{server}/nothing_here"))]).await;
    assert_single_error_line(&exited, 1, &["nothing_here", "does not exist"]);
}

async fn port_in_use_is_reported(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let exited = sandbox.run_command(&[], &[("BIND_ADDR", &address)]).await;
    assert_single_error_line(&exited, 1, &[&address, "is in use", "BIND_ADDR"]);
    assert!(!sandbox.path().join("data").exists(), "nothing is made before");
}

async fn changed_currency_is_reported(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    let server = sandbox.start_server(&[("SAVANNAH_SHOP__CURRENCY", "EUR")]).await;
    server.send_signal("TERM");
    assert_eq!(server.wait_for_exit().await.exit_code, Some(0));
    for command in [&["serve"][..], &["seed"], &["export", "products"]] {
        let exited = sandbox.run_command(command, &[]).await;
        assert_single_error_line(&exited, 1, &["EUR", "KES", "SAVANNAH_SHOP__CURRENCY=EUR"]);
    }
}

async fn unknown_commands_are_reported(_: Backend) {
    let sandbox = CliSandbox::new(&[]);
    let cases: [(&[&str], &str); 6] = [
        (&["sereve"], "serve"),
        (&["serve", "--nodemo"], "--no-demo"),
        (&["import"], "products"),
        (&["import", "products"], "FILE"),
        (&["seed", "--products", "many"], "many"),
        (&["migrate", "--down", "-1"], "-1"),
    ];
    for (command, expected) in cases {
        let exited = sandbox.run_command(command, &[]).await;
        assert!(
            exited.exit_code == Some(2) && exited.stderr.contains(expected) && !exited.stderr.contains("panicked"),
            "{exited:?}"
        );
    }
    assert!(!sandbox.path().join("data").exists(), "nothing is made");
}

async fn missing_files_are_reported(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    std::fs::create_dir(sandbox.path().join("folder")).expect("a folder");
    let valid_file = sandbox.write_file("good.csv", "Handle,Title\n");
    for kind in ["products", "categories"] {
        let valid_file = valid_file.to_str().expect("a path");
        for (file, expected) in [("nothing.csv", ["nothing.csv", "No such file"]), ("folder", ["folder", "directory"])]
        {
            assert_single_error_line(&sandbox.run_command(&["import", kind, file], &[]).await, 1, &expected);
            // All files are checked before the first is imported.
            assert_single_error_line(
                &sandbox.run_command(&["import", kind, valid_file, file], &[]).await,
                1,
                &expected,
            );
        }
    }
    let exited = sandbox.run_command(&["export", "products", "--output", "nowhere/out.csv"], &[]).await;
    assert_single_error_line(&exited, 1, &["cannot write nowhere/out.csv"]);
}
