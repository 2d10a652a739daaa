//! An API client that gets its tokens by OAuth 2.0.

use reqwest::{Method, RequestBuilder};
use savannah::identity::Role;
use serde_json::{Value, json};

use super::{HttpResponse, TestApp};

const CREATE_API_KEY: &str = "mutation($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) {
    apiKey { id key } userErrors { code field } } }";

/// An API key as a client: its id and its secret.
#[derive(Debug, Clone)]
pub struct OauthClient {
    pub id: String,
    pub secret: String,
    /// Access token of the admin who created the key.
    pub admin: String,
}

impl OauthClient {
    /// Creates an API key with these permissions, as an admin.
    pub async fn create(app: &TestApp, permissions: &[&str]) -> Self {
        Self::create_until(app, permissions, None).await
    }

    /// Creates an API key that expires.
    pub async fn create_until(app: &TestApp, permissions: &[&str], expires_at: Option<&str>) -> Self {
        let admin = app.login(Role::Admin).await;
        let input = json!({ "name": "Client", "permissions": permissions, "expiresAt": expires_at });
        let created = app.query_as(&admin, CREATE_API_KEY, json!({ "input": input })).await;
        let text = |name: &str| {
            let value = created.data_at(&format!("/apiKeyCreate/apiKey/{name}"));
            value.as_str().unwrap_or_else(|| panic!("no {name}: {}", created.body)).to_owned()
        };
        let (id, secret) = (text("id"), text("key"));
        Self { id, secret, admin }
    }

    /// Builds a request with a form, authenticated by HTTP Basic.
    pub fn build_request(&self, app: &TestApp, path: &str, form: &str) -> RequestBuilder {
        form_request(app, path, form).basic_auth(&self.id, Some(&self.secret))
    }

    /// Sends a form, authenticated by HTTP Basic.
    pub async fn post(&self, app: &TestApp, path: &str, form: &str) -> HttpResponse {
        HttpResponse::send(self.build_request(app, path, form)).await
    }

    /// Requests tokens; asserts that they are issued.
    pub async fn issue(&self, app: &TestApp, form: &str) -> IssuedTokens {
        IssuedTokens::from_response(&self.post(app, "/oauth/token", form).await)
    }

    /// Refreshes tokens; asserts that they are issued.
    pub async fn refresh(&self, app: &TestApp, refresh_token: &str) -> IssuedTokens {
        self.issue(app, &format!("grant_type=refresh_token&refresh_token={refresh_token}")).await
    }

    /// Revokes the API key.
    pub async fn revoke_key(&self, app: &TestApp) {
        let query = "mutation($id: ID!) { apiKeyRevoke(id: $id) { apiKey { revokedAt } } }";
        let revoked = app.query_as(&self.admin, query, json!({ "id": self.id })).await;
        assert!(revoked.data_at("/apiKeyRevoke/apiKey/revokedAt").is_string(), "{}", revoked.body);
    }
}

/// Builds a request with a form, without authentication.
pub fn form_request(app: &TestApp, path: &str, form: &str) -> RequestBuilder {
    let request = app.build_request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned())
}

/// Tokens of a response.
#[derive(Debug, Clone)]
pub struct IssuedTokens {
    pub access: String,
    pub refresh: Option<String>,
    pub scope: String,
    pub expires_in: i64,
}

impl IssuedTokens {
    /// Reads a response; asserts that it has tokens and must not be stored.
    pub fn from_response(response: &HttpResponse) -> Self {
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
        let body = response.json();
        assert_eq!(body["token_type"], "Bearer", "{body}");
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let (Some(access), Some(scope)) = (text("access_token"), text("scope")) else { panic!("no token: {body}") };
        let expires_in = body["expires_in"].as_i64().expect("seconds");
        Self { access, refresh: text("refresh_token"), scope, expires_in }
    }

    /// Returns the refresh token.
    pub fn refresh_token(&self) -> &str {
        self.refresh.as_deref().expect("a refresh token")
    }
}

/// Asserts that a response is an error of RFC 6749, section 5.2.
pub fn assert_oauth_error(response: &HttpResponse, status: u16, error: &str) {
    let body: Value = response.json();
    assert_eq!((response.status, body["error"].as_str()), (status, Some(error)), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    let description = body["error_description"].as_str().expect("a description");
    let is_allowed = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    assert!(!description.is_empty() && description.chars().all(is_allowed), "{description}");
    let challenge = response.header("www-authenticate");
    assert_eq!(challenge.is_some_and(|challenge| challenge.starts_with("Basic ")), status == 401, "{response:?}");
}
