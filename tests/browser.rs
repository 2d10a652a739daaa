//! What only Node can tell: the official audit of GraphQL over HTTP, and the GraphiQL page in a real browser.

use std::{path::Path, process::Command};

use crate::{
    shop::{Backend, Shop, is_missing},
    stories,
};

stories![;
    needs(audits): the_official_audit_passes;
    needs(browser): graphiql_explores_the_shop
];

/// The folder that npm installed into.
const MODULES: &str = "SAVANNAH_BROWSER_MODULES";

fn audits() -> bool {
    module("graphql-http")
}

/// Whether GraphiQL can be opened in a browser.
pub fn browser() -> bool {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    if !Path::new(&chromium).exists() {
        return is_missing("there is no Chromium; CHROMIUM can say where it is");
    }
    if !savannah::http::graphiql::is_here() {
        return is_missing("the GraphiQL page is not in this build");
    }
    module("playwright-core")
}

/// Whether npm has installed a package for the stories.
pub fn module(name: &str) -> bool {
    let folder = std::env::var_os(MODULES).unwrap_or_default();
    if !Path::new(&folder).join("node_modules").join(name).exists() {
        return is_missing(&format!("{MODULES} names no folder with {name}: npm install --prefix FOLDER {name}"));
    }
    if Command::new("node").arg("--version").output().is_err() {
        return is_missing("there is no node");
    }
    true
}

/// Runs a script against the shop, and answers what it says; it says what is wrong and ends non-zero, and by itself when it
/// takes too long.
pub async fn script(name: &str, arguments: Vec<String>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(name);
    let run = tokio::task::spawn_blocking(move || Command::new("node").arg(script).args(arguments).output());
    let done = run.await.expect("a run").expect("node");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    said
}

async fn the_official_audit_passes(backend: Backend) {
    let shop = Shop::demo(backend).await;
    script("audit.mjs", vec![shop.url("/graphql")]).await;
}

async fn graphiql_explores_the_shop(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let token = shop.sign_in(savannah::identity::Role::Customer).await;
    script("graphiql.mjs", vec![shop.url(""), shop.app.shared.config.shop.name.clone(), token]).await;
}
