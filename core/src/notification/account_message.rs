//! Content of messages about accounts: the token or code, created when the message is sent, and the recipient's name.

use sea_orm::EntityTrait;
use secrecy::ExposeSecret;

use super::{NotificationEventType, entity::notification, render};
use crate::{
    base::{Result, link_detection::contains_link},
    identity::{
        account, email_change,
        entity::{OneTimeTokenPurpose, account as account_row},
        login_code::{self, GeneratedLoginCode},
        one_time_token,
    },
    infra::{Config, Db, Tx},
};

/// Reason of messages to an account that is closed or has another address.
const UNREACHABLE_REASON: &str = "the account is closed or has another address";

/// Content of a message about an account.
#[derive(Debug)]
pub struct AccountContent {
    /// Name of the recipient; empty if the account's address is not verified.
    pub name: String,
    /// Token or code.
    pub token: Option<String>,
    /// Link with the token.
    pub link: Option<String>,
}

/// Result of preparing a message about an account.
#[derive(Debug)]
pub enum AccountMessage {
    /// The message is sent with this content.
    Ready(AccountContent),
    /// The message is not sent, for this reason.
    Skipped(&'static str),
}

/// Generates the code of a message that needs one, outside of a transaction, because hashing takes long. Statements: 1.
pub async fn generate_login_code(db: &Db, notification_id: i64) -> Result<Option<GeneratedLoginCode>> {
    let row = notification::Entity::find_by_id(notification_id).one(db).await?;
    if row.is_some_and(|row| row.event_type == NotificationEventType::LoginCode) {
        return GeneratedLoginCode::generate().await.map(Some);
    }
    Ok(None)
}

/// Prepares the content of a message about an account. Tokens are not sent to closed accounts, nor to an address that
/// the account does not have any more.
pub async fn prepare_account_message(
    tx: &Tx,
    config: &Config,
    row: &notification::Model,
    login_code: Option<GeneratedLoginCode>,
) -> Result<AccountMessage> {
    let owner = match row.account_id {
        Some(account_id) => account::find_active_account(tx, account_id).await?,
        None => None,
    };
    let (Some(owner), Some(recipient)) = (owner, row.recipient.as_deref()) else {
        return Ok(AccountMessage::Skipped(UNREACHABLE_REASON));
    };
    let has_address = owner.email.as_deref() == Some(recipient);
    let urls = &config.notification;
    let (purpose, url_template) = match row.event_type {
        NotificationEventType::VerifyEmail | NotificationEventType::ResetPassword if !has_address => {
            return Ok(AccountMessage::Skipped(UNREACHABLE_REASON));
        }
        NotificationEventType::VerifyEmail if owner.email_verified_at.is_some() => {
            return Ok(AccountMessage::Skipped("the address has been verified meanwhile"));
        }
        NotificationEventType::VerifyEmail => (OneTimeTokenPurpose::VerifyEmail, &urls.verify_url),
        NotificationEventType::ResetPassword => (OneTimeTokenPurpose::ResetPassword, &urls.reset_url),
        NotificationEventType::ChangeEmail => {
            if email_change::find_pending(tx, owner.id, recipient, tx.now()).await?.is_none() {
                return Ok(AccountMessage::Skipped("the change was replaced by a later one or has expired"));
            }
            (OneTimeTokenPurpose::ChangeEmail, &urls.change_email_url)
        }
        NotificationEventType::LoginCode => return prepare_login_code(tx, row, login_code, owner).await,
        _ => {
            return Ok(AccountMessage::Ready(AccountContent { name: verified_name(owner), token: None, link: None }));
        }
    };
    let token = one_time_token::create_one_time_token(tx, purpose, owner.id, recipient).await?;
    let link = render::fill_url_template(url_template, &[("token", &token)]);
    Ok(AccountMessage::Ready(AccountContent { name: verified_name(owner), token: Some(token), link }))
}

async fn prepare_login_code(
    tx: &Tx,
    row: &notification::Model,
    login_code: Option<GeneratedLoginCode>,
    owner: account_row::Model,
) -> Result<AccountMessage> {
    let generated = match login_code {
        Some(generated) if login_code::store_code(tx, row.event_id, &generated).await? => generated,
        _ => return Ok(AccountMessage::Skipped("the code was used or has expired")),
    };
    let token = Some(generated.code.expose_secret().to_owned());
    Ok(AccountMessage::Ready(AccountContent { name: verified_name(owner), token, link: None }))
}

/// Returns the first name of an account; empty until its email address is verified, because it is unverified input.
fn verified_name(owner: account_row::Model) -> String {
    let is_verified = owner.email_verified_at.is_some() && !contains_link(&owner.first_name);
    if is_verified { owner.first_name } else { String::new() }
}
