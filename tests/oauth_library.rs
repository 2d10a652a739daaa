//! A public OAuth 2.0 client library, `openid-client`, against the server: see `tests/oauth`.

use crate::{
    browser::{has_node_module, run_node_script},
    integration_tests,
    support::{Backend, OauthClient, TestApp, report_missing, set_clock_to_system_time},
};

integration_tests![;
    needs(has_oauth_library): oauth_library_gets_uses_refreshes_and_revokes_tokens;
    needs(has_curl): readme_commands_get_a_token_and_use_it
];

const README: &str = include_str!("../README.md");

fn has_oauth_library() -> bool {
    has_node_module("openid-client")
}

async fn oauth_library_gets_uses_refreshes_and_revokes_tokens(backend: Backend) {
    let app = TestApp::start(backend).await;
    set_clock_to_system_time(&app);
    let client = OauthClient::create(&app, &["CATALOG_WRITE", "CUSTOMER_READ"]).await;
    let output = run_node_script("oauth/client.mjs", vec![app.url(""), client.id, client.secret]).await;
    for method in ["client_secret_basic", "client_secret_post"] {
        assert!(output.contains(&format!("{method}: passed")), "{output}");
    }
}

fn has_curl() -> bool {
    std::process::Command::new("curl").arg("--version").output().is_ok() || report_missing("there is no curl")
}

/// Runs the commands of the README as they are, with the address and the credentials of this test.
async fn readme_commands_get_a_token_and_use_it(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["ORDER_READ", "CUSTOMER_READ"]).await;
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands = blocks.filter(|block| block.contains("/oauth/token")).collect::<Vec<_>>();
    let [commands] = commands[..] else { panic!("one block of the README requests a token") };
    let commands = commands.replace("http://127.0.0.1:8000", &app.url(""));
    let mut shell = tokio::process::Command::new("bash");
    let shell = shell.args(["-euc", &commands]).env("CLIENT_ID", &client.id).env("CLIENT_SECRET", &client.secret);
    let output = shell.kill_on_drop(true).output().await.expect("bash");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(text, "{\"data\":{\"orders\":{\"nodes\":[]}}}", "{errors}");
}
