//! An account of staff for scenarios that change the catalog.

use std::{io::Write, net::SocketAddr, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::{Result, http, process};

const STAFF_EMAIL: &str = "staff@example.com";
const STAFF_PASSWORD: &str = "a password of the benchmark";

/// Creates an admin account.
pub fn create_staff_account(server: &Path, url: &str) -> Result<()> {
    let mut command = process::savannah_command(server, url);
    command.args(["user", "create", "--email", STAFF_EMAIL, "--role", "admin", "--password-stdin"]);
    command.env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::null());
    let to_message = |error: std::io::Error| format!("`savannah user create` failed: {error}");
    let mut child = command.spawn().map_err(to_message)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(STAFF_PASSWORD.as_bytes()).map_err(to_message)?;
    }
    let status = child.wait().map_err(to_message)?;
    if status.success() { Ok(()) } else { Err(format!("`savannah user create` failed: {status}")) }
}

/// Logs the account in and returns its access token.
pub fn log_in_staff(server_address: SocketAddr) -> Result<String> {
    let query = format!(
        "mutation {{ login(input: {{ email: \"{STAFF_EMAIL}\", password: \"{STAFF_PASSWORD}\" }}) {{ tokens {{ accessToken }} }} }}"
    );
    let (_, response_body) = http::post_graphql(server_address, &json!({ "query": query }).to_string())?;
    let response: Value =
        serde_json::from_str(&response_body).map_err(|error| format!("{error} in {response_body}"))?;
    let token = response.pointer("/data/login/tokens/accessToken").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("staff cannot sign in: {response_body}"))
}
