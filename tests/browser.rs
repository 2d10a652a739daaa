//! Tests that need Node.js: the official audit of GraphQL over HTTP, and the GraphiQL page in a browser.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    integration_tests,
    support::{Backend, TestApp, report_missing},
};

integration_tests![;
    needs(has_graphql_http_audit): graphql_over_http_audit_passes;
    needs(has_browser): graphiql_page_runs_queries
];

/// Environment variable with the npm installation folder.
const NODE_MODULES_VARIABLE: &str = "SAVANNAH_BROWSER_MODULES";

fn has_graphql_http_audit() -> bool {
    has_node_module("graphql-http")
}

/// Returns whether a browser is available for GraphiQL.
pub fn has_browser() -> bool {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    if !Path::new(&chromium).exists() {
        return report_missing("there is no Chromium; CHROMIUM can say where it is");
    }
    if !savannah::http::graphiql::is_embedded() {
        return report_missing("the GraphiQL page is not in this build");
    }
    has_node_module("playwright-core")
}

/// Returns the folder of the npm packages for the tests.
pub fn find_node_modules() -> PathBuf {
    Path::new(&std::env::var_os(NODE_MODULES_VARIABLE).unwrap_or_default()).join("node_modules")
}

/// Returns whether an npm package is installed for the tests.
pub fn has_node_module(name: &str) -> bool {
    if !find_node_modules().join(name).exists() {
        return report_missing(&format!(
            "{NODE_MODULES_VARIABLE} names no folder with {name}: npm install --prefix FOLDER {name}"
        ));
    }
    if Command::new("node").arg("--version").output().is_err() {
        return report_missing("there is no node");
    }
    true
}

/// Maximum duration of a script, which starts browsers and compilers.
const MAX_SCRIPT_DURATION: Duration = Duration::from_mins(4);

/// Runs a script of `tests` against the server and returns its output. The script exits non-zero on failure, and on its own
/// timeout. If it does not end, it is killed.
pub async fn run_node_script(path: &str, arguments: Vec<String>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    // A process that the script started may outlive it and hold its pipes open: then this ends, too.
    let mut command = tokio::process::Command::new("node");
    let run = command.arg(&script).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let process_output = tokio::time::timeout(MAX_SCRIPT_DURATION, run).await;
    let process_output = process_output.unwrap_or_else(|_| panic!("{} does not end", script.display())).expect("node");
    let output =
        String::from_utf8_lossy(&process_output.stdout).into_owned() + &String::from_utf8_lossy(&process_output.stderr);
    assert!(process_output.status.success(), "{output}");
    output
}

async fn graphql_over_http_audit_passes(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    run_node_script("browser/audit.mjs", vec![app.url("/graphql")]).await;
}

async fn graphiql_page_runs_queries(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let token = app.login(savannah::identity::Role::Customer).await;
    run_node_script("browser/graphiql.mjs", vec![app.url(""), app.http_app.state.config.shop.name.clone(), token])
        .await;
}
