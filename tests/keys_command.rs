//! `savannah keys rotate`, beside a running server: which tokens hold afterwards.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, RunningProcess, TestDatabase},
};

integration_tests![
    planned_rotation_keeps_tokens_of_the_key_before,
    rotation_of_compromised_keys_refuses_all_tokens_before,
];

/// Longer than a server takes to read its keys again.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const EMAIL: &str = "amani@shop.example";
const TOKENS: &str = "tokens { accessToken refreshToken } userErrors { code }";

/// A running shop, and the tokens of its admin.
struct Stage {
    place: CliSandbox,
    _database: TestDatabase,
    shop: RunningProcess,
    access: String,
    refresh: String,
}

impl Stage {
    async fn open(backend: Backend) -> Self {
        let database = TestDatabase::create_migrated(backend).await;
        let place = CliSandbox::new(&[("DATABASE_URL", database.url())]);
        let made = place.run_command(&["user", "create", "--email", EMAIL, "--role", "admin"], &[]).await;
        assert_eq!(made.exit_code, Some(0), "{made:?}");
        let password = made.stdout.split_whitespace().last().expect("a password");
        let shop = place.start_server_with_args(&["serve", "--no-demo"], &[]).await;
        let input = format!("{{ email: {}, password: {} }}", json!(EMAIL), json!(password));
        let answer = shop.query(&format!("mutation {{ login(input: {input}) {{ {TOKENS} }} }}")).await;
        let (access, refresh) = tokens(&answer["data"]["login"]);
        Self { place, _database: database, shop, access, refresh }
    }

    /// Rotates the keys by the command; the name of the new one.
    async fn rotate(&self, args: &[&str]) -> String {
        let ended = self.place.run_command(&[&["keys", "rotate"], args].concat(), &[]).await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        let message = ended.stdout.strip_prefix("signing with ").expect("the new key's name");
        message.split(';').next().expect("a name").to_owned()
    }

    /// The status of a request with a token, which only an admin may make.
    async fn status(&self, token: &str) -> u16 {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", self.shop.address)).bearer_auth(token);
        let answer = request.json(&json!({ "query": "{ apiKeys { name } }" })).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["data"]["apiKeys"].is_array(), status == 200, "{body}");
        status
    }

    /// A new pair of tokens for the refresh token.
    async fn refresh(&self) -> (String, String) {
        let query = format!("mutation {{ tokenRefresh(refreshToken: {}) {{ {TOKENS} }} }}", json!(self.refresh));
        tokens(&self.shop.query(&query).await["data"]["tokenRefresh"])
    }

    /// The names of the keys that the server publishes, once there are so many.
    async fn published(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let url = format!("http://{}/.well-known/jwks.json", self.shop.address);
            let body: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
            let keys = body["keys"].as_array().expect("keys").iter();
            let names: Vec<_> = keys.map(|key| key["kid"].as_str().expect("a name").to_owned()).collect();
            if names.len() == count {
                return names;
            }
            assert!(began.elapsed() < PATIENCE, "{count} keys are expected: {body}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What `keys list` prints.
    async fn listed(&self) -> Vec<String> {
        let ended = self.place.run_command(&["keys", "list"], &[]).await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        ended.stdout.lines().map(str::to_owned).collect()
    }
}

fn tokens(payload: &Value) -> (String, String) {
    let token = |name: &str| payload["tokens"][name].as_str().unwrap_or_else(|| panic!("no tokens in {payload}"));
    (token("accessToken").to_owned(), token("refreshToken").to_owned())
}

fn signer(token: &str) -> String {
    jsonwebtoken::decode_header(token).expect("a header").kid.expect("a key's name")
}

async fn planned_rotation_keeps_tokens_of_the_key_before(backend: Backend) {
    let stage = Stage::open(backend).await;
    let new = stage.rotate(&[]).await;
    let published = stage.published(2).await;
    assert_eq!(published, [new.clone(), signer(&stage.access)]);
    assert_eq!(stage.listed().await, [format!("{new}  (signs)"), signer(&stage.access)]);
    let (access, _) = stage.refresh().await;
    assert_eq!(signer(&access), new);
    assert_eq!((stage.status(&stage.access).await, stage.status(&access).await), (200, 200));
}

async fn rotation_of_compromised_keys_refuses_all_tokens_before(backend: Backend) {
    let stage = Stage::open(backend).await;
    assert_eq!(stage.status(&stage.access).await, 200);
    // One key is retired before: its tokens hold no more, either.
    stage.rotate(&[]).await;
    stage.published(2).await;
    let new = stage.rotate(&["--compromised"]).await;
    assert_eq!(stage.published(1).await.concat(), new);
    assert_eq!(stage.listed().await, [format!("{new}  (signs)")]);
    assert_eq!(stage.status(&stage.access).await, 401);
    // The session is not the key's: its owner goes on with a token of the new key.
    let (access, _) = stage.refresh().await;
    assert_eq!((signer(&access), stage.status(&access).await), (new, 200));
}
