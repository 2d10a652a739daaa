//! Accounts of the tests and their access tokens.

use chrono::TimeDelta;
use savannah::identity::{
    Role,
    account::{self, NewAccount},
    jwt::TokenSubject,
    session::{self, ClientInfo, NewSession},
};

use super::TestApp;

impl TestApp {
    /// Creates an account with this role and a unique e-mail address, and returns its access token.
    pub async fn login(&self, role: Role) -> String {
        let number = self.query_scalar("SELECT count(*) + 1 FROM account").await;
        let email = format!("{}{number}@example.com", role.name());
        let new = NewAccount { email: Some(email), role, email_verified: true, ..NewAccount::default() };
        let opened = self.db.write(async |tx| {
            let created_account = account::create_account(tx, new).await?;
            let (client, lifetime) = (ClientInfo::default(), TimeDelta::days(1));
            let new = NewSession { account: created_account, client: &client, auth_method: "password", lifetime };
            session::create_session(tx, new).await
        });
        let opened = opened.await.unwrap_or_else(|error| panic!("session not created: {}", error.log_message()));
        let token_service = &self.http_app.state.access_token_service;
        let subject = TokenSubject { account_id: opened.account.id, role, session_id: opened.session_id };
        token_service.issue_token(subject, self.db.now()).expect("a token").token
    }
}
