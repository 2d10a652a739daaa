//! `savannah operations`, and the example of the README.

use std::fs;

use savannah::operations::document_id::sha256_hex;

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, TestDatabase},
    trusted_documents::{CREATE, HOME, SHOP, manifest_of},
};

const LOG_LEVEL: (&str, &str) = ("RUST_LOG", "warn");

integration_tests![
    operations_command_publishes_lists_and_retires,
    operations_command_publishes_a_folder,
    operations_command_reports_all_errors,
    operations_command_checks_a_changed_schema;
    needs(has_curl): readme_example_of_trusted_documents_runs
];

async fn operations_command_publishes_lists_and_retires(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[LOG_LEVEL]).await;
    sandbox.write_file("manifest.json", &manifest_of(&[SHOP, HOME, CREATE]));
    let publish = ["operations", "publish", "--app", "ios", "--version", "4.2", "manifest.json"];
    let dry_run = sandbox.run_command(&[&publish[..], &["--dry-run"]].concat(), &[]).await;
    assert!(dry_run.stdout.ends_with("3 valid operations; nothing was published (--dry-run)\n"), "{dry_run:?}");
    assert_eq!(sandbox.run_command(&["operations", "list"], &[]).await.stdout, "no versions found\n");

    let output = sandbox.run_command(&publish, &[]).await;
    assert_eq!(output.exit_code, Some(0), "{output:?}");
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["OPERATION", "TYPE", "COST", "DEPTH", "STATEMENTS", "ID"]);
    let shop = lines.iter().find(|line| line[0] == "Shop").expect("the operation");
    assert_eq!(shop[..5], ["Shop", "query", "2", "2", "0"]);
    assert_eq!(shop[5], sha256_hex(SHOP));
    // There are no products, so the query did not reach their fields.
    let home = lines.iter().find(|line| line[0] == "Home").expect("the operation");
    assert!(home[2] == "300" && home[4].starts_with(">="), "{home:?}");
    let create = lines.iter().find(|line| line[0] == "Create").expect("the operation");
    assert_eq!(create[4], "<=60");
    assert!(output.stdout.ends_with("ios 4.2 published, operations: 3\n"), "{output:?}");

    let repeated = sandbox.run_command(&publish, &[]).await;
    assert!(repeated.stdout.ends_with("ios 4.2 was published before with the same operations\n"), "{repeated:?}");
    let list = sandbox.run_command(&["operations", "list", "--app", "ios"], &[]).await;
    assert!(list.stdout.lines().nth(1).is_some_and(|line| line.starts_with("ios 4.2  ")), "{list:?}");
    let list = sandbox.run_command(&["operations", "list", "--app", "ios", "--version", "4.2"], &[]).await;
    assert_eq!(list.stdout.lines().count(), 4, "{list:?}");
    let retired = sandbox.run_command(&["operations", "retire", "--app", "ios", "--version", "4.2"], &[]).await;
    assert_eq!((retired.exit_code, retired.stdout.as_str()), (Some(0), "ios 4.2 is retired\n"));
    let missing = sandbox.run_command(&["operations", "retire", "--app", "ios", "--version", "9"], &[]).await;
    assert!(missing.exit_code != Some(0) && missing.stderr.contains("no such version"), "{missing:?}");
    for command in ["publish", "list", "retire", "check"] {
        let help = sandbox.run_command(&["operations", command, "--help"], &[]).await;
        assert!(help.exit_code == Some(0) && help.stdout.contains("Example:\n  savannah operations "), "{help:?}");
    }
}

async fn operations_command_publishes_a_folder(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[LOG_LEVEL]).await;
    fs::create_dir_all(sandbox.path().join("app/fragments")).expect("a folder");
    sandbox.write_file("app/shop.graphql", SHOP);
    sandbox.write_file(
        "app/cards.graphql",
        "query A { products { nodes { ...Card } } } query B { node(id: \"x\") { ...Card } }",
    );
    sandbox.write_file("app/fragments/card.gql", "fragment Card on Product { id name }");
    sandbox.write_file("app/notes.txt", "not a document");
    let publish = ["operations", "publish", "--app", "ios", "--version", "1", "app"];
    let output = sandbox.run_command(&publish, &[]).await;
    assert!(output.stdout.ends_with("ios 1 published, operations: 3\n"), "{output:?}");
    assert!(output.stdout.contains(&sha256_hex(SHOP)), "{output:?}");
    let empty = sandbox.path().join("empty");
    fs::create_dir_all(&empty).expect("a folder");
    let output = sandbox.run_command(&["operations", "publish", "--app", "ios", "--version", "2", "empty"], &[]).await;
    assert!(output.exit_code != Some(0) && output.stderr.contains("empty has no .graphql files"), "{output:?}");
}

async fn operations_command_reports_all_errors(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[LOG_LEVEL]).await;
    let publish = ["operations", "publish", "--app", "ios", "--version", "1", "manifest.json"];
    let missing = sandbox.run_command(&publish, &[]).await;
    assert!(missing.exit_code != Some(0) && missing.stderr.contains("cannot read manifest.json"), "{missing:?}");
    for text in ["", "[]", "{\"a\":", "{ \"a\": { \"b\": 1 } }", "\u{0}"] {
        sandbox.write_file("manifest.json", text);
        let output = sandbox.run_command(&publish, &[]).await;
        assert!(output.exit_code != Some(0) && output.stderr.contains("this is not a manifest"), "{text:?} {output:?}");
    }
    sandbox.write_file("manifest.json", &manifest_of(&[SHOP, "query X { x }", "query Y { y }"]));
    let output = sandbox.run_command(&publish, &[]).await;
    assert!(output.exit_code != Some(0) && output.stderr.contains("2 errors; nothing was changed:"), "{output:?}");
    assert!(output.stderr.contains("X (") && output.stderr.contains("Y ("), "{output:?}");
    assert_eq!(sandbox.run_command(&["operations", "list"], &[]).await.stdout, "no versions found\n");
    let invalid_name = ["operations", "publish", "--app", "i os", "--version", "1", "manifest.json"];
    let output = sandbox.run_command(&invalid_name, &[]).await;
    assert!(output.exit_code != Some(0) && output.stderr.contains("letters, digits"), "{output:?}");
}

async fn operations_command_checks_a_changed_schema(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[LOG_LEVEL]).await;
    sandbox.write_file("manifest.json", &manifest_of(&[SHOP, HOME]));
    for version in ["4.1", "4.2"] {
        let publish = ["operations", "publish", "--app", "ios", "--version", version, "manifest.json"];
        assert_eq!(sandbox.run_command(&publish, &[]).await.exit_code, Some(0));
    }
    let schema = sandbox.run_command(&["schema"], &[]).await.stdout;
    sandbox.write_file("same.graphql", &schema);
    for check in [&["operations", "check"][..], &["operations", "check", "--schema", "same.graphql"]] {
        let output = sandbox.run_command(check, &[]).await;
        assert_eq!(output.exit_code, Some(0), "{output:?}");
        assert!(output.stdout.starts_with("0 of 2 published operations do not fit"), "{output:?}");
    }
    // A required argument breaks the list of products, and nothing else.
    let (before, query_type) = schema.split_once("type Query {").expect("the query type");
    let changed_type = query_type.replacen("\n\tproducts(\n", "\n\tproducts(\n\t\tmarket: String!\n", 1);
    assert_ne!(changed_type, query_type);
    let changed = format!("{before}type Query {{{changed_type}");
    sandbox.write_file("changed.graphql", &changed);
    let check = ["operations", "check", "--schema", "changed.graphql"];
    let output = sandbox.run_command(&check, &[]).await;
    assert_eq!(output.exit_code, Some(1), "{output:?}");
    assert!(
        output.stdout.starts_with(&format!("Home ({})\n  of ios 4.1, ios 4.2\n  1:", sha256_hex(HOME))),
        "{output:?}"
    );
    assert!(output.stdout.ends_with("1 of 2 published operations do not fit changed.graphql\n"), "{output:?}");
    // Operations of retired versions do not matter.
    for version in ["4.1", "4.2"] {
        sandbox.run_command(&["operations", "retire", "--app", "ios", "--version", version], &[]).await;
    }
    assert_eq!(sandbox.run_command(&check, &[]).await.exit_code, Some(0));
    sandbox.write_file("broken.graphql", "type Query {");
    let output = sandbox.run_command(&["operations", "check", "--schema", "broken.graphql"], &[]).await;
    assert!(output.exit_code != Some(0) && output.stderr.contains("broken.graphql is invalid"), "{output:?}");
}

fn has_curl() -> bool {
    std::process::Command::new("curl").arg("--version").output().is_ok()
}

/// Runs the commands of the README with the binary and a server of the test.
async fn readme_example_of_trusted_documents_runs(backend: Backend) {
    let section = include_str!("../README.md").split("\n## Mobile apps\n").nth(1).expect("a section");
    let commands = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
    let database = TestDatabase::create_empty(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url()), ("RUST_LOG", "warn")]);
    let server = sandbox.start_server(&[]).await;
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql"), sandbox.path().join("schema.graphql"))
        .expect("the schema");
    let commands =
        commands.replace("cargo run --", env!("CARGO_BIN_EXE_savannah")).replace("127.0.0.1:8000", &server.address);
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .current_dir(sandbox.path())
        .env("DATABASE_URL", database.url())
        .env("RUST_LOG", "warn")
        .output()
        .await
        .expect("bash");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    let response = "{\"data\":{\"product\":{\"name\":\"Savannah Mug\"";
    assert_eq!(stdout.matches(response).count(), 3, "{stdout}");
    for text in ["ios 4.2 published, operations: 1", "0 of 1 published operations", "ios 4.2 is retired"] {
        assert!(stdout.contains(text), "{text} is not in {stdout}");
    }
}
