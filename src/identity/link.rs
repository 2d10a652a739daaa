//! Whose account it is when a provider says who somebody is.

use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Map, Value, json};

use super::{
    account::{self, NewAccount},
    entity::account as row,
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    infra::{Change, Db, Sql, Tx},
};

/// The longest name that a provider may have for somebody. Bytes.
const SUBJECT_LIMIT: usize = 255;

/// Somebody, as a provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// Who it is there, for ever.
    pub subject: String,
    /// Their e-mail address, if the provider tells it.
    pub email: Option<String>,
    /// Whether the provider knows that it is theirs.
    pub verified: bool,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
}

impl Person {
    /// What the claims of a token say. What cannot be an address or a name is left out.
    #[must_use]
    pub fn read(issuer: &str, claims: &Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = |typed: &str| account::name(typed, "").unwrap_or_default();
        Self {
            issuer: issuer.to_owned(),
            subject: text("sub").to_owned(),
            email: account::email(text("email"), "").ok(),
            // Some providers write it as text.
            verified: claims.get("email_verified").is_some_and(|said| *said == true || *said == "true"),
            first_name: name(text("given_name")),
            last_name: name(text("family_name")),
        }
    }
}

/// The account of somebody: the one they came to before, else the one of their e-mail address, else a new one.
///
/// # Errors
/// When that account may not come in, or may not be given to them unasked.
pub async fn account(db: &Db, person: &Person) -> Result<row::Model> {
    let subject = &person.subject;
    if !(1..=SUBJECT_LIMIT).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(Error::bad_input("", "The provider does not say who it is."));
    }
    let somebody = person.clone();
    if let Some(found) = known(db, person).await? {
        let found = welcome(found)?;
        return if follows(&found, person) {
            db.write(async move |tx| follow(tx, found, &somebody).await).await
        } else {
            Ok(found)
        };
    }
    match db.write(async move |tx| join(tx, &somebody).await).await {
        // Another request of the same person was faster.
        Err(why) if why.is_taken() || why.public().code == Code::AlreadyExists => match known(db, person).await? {
            Some(found) => welcome(found),
            // Somebody else of the provider was.
            None => Err(if why.is_taken() { claimed() } else { why }),
        },
        outcome => outcome,
    }
}

/// The account that somebody came to before.
async fn known(db: &impl ConnectionTrait, person: &Person) -> Result<Option<row::Model>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT account_id FROM account_identity WHERE issuer = ").bind(person.issuer.as_str());
    sql.push(" AND subject = ").bind(person.subject.as_str());
    let Some(found) = db.query_one_raw(sql.statement()).await? else { return Ok(None) };
    Ok(row::Entity::find_by_id(found.try_get_by::<i64, _>(0)?).one(db).await?)
}

/// Whether an account takes over the address that the provider knows somebody by now: one without a password is opened by
/// the provider alone, and its mail goes where the provider says. An address that comes with a password is what its owner
/// signs in with, and only they change it.
fn follows(found: &row::Model, person: &Person) -> bool {
    let same = person.email.as_deref().map(account::email_key) == found.email_key;
    person.verified && person.email.is_some() && !same && found.password.is_none()
}

/// Takes the address over, unless another account has it.
async fn follow(tx: &Tx, found: row::Model, person: &Person) -> Result<row::Model> {
    let Some(email) = &person.email else { return Ok(found) };
    if account::by_email(tx, email).await?.is_some() {
        tracing::info!(account = found.id, "the provider's new e-mail address is another account's");
        return Ok(found);
    }
    account::change_email(tx, found, email).await
}

/// Nobody comes in with an account that was shut.
fn welcome(found: row::Model) -> Result<row::Model> {
    if found.deleted_at.is_some() || found.disabled_at.is_some() {
        return Err(closed());
    }
    Ok(found)
}

/// What is said to somebody whose account was shut.
#[must_use]
pub fn closed() -> Error {
    Error::user(Code::Forbidden, "", "This account has been closed; ask the shop.")
}

/// The account of a person's e-mail address, or a new one; from now on it is found by who they are at the provider.
async fn join(tx: &Tx, person: &Person) -> Result<row::Model> {
    if let Some(found) = known(tx, person).await? {
        return welcome(found);
    }
    let same = match &person.email {
        Some(email) => account::by_email(tx, email).await?,
        None => None,
    };
    let found = match same {
        Some(found) => {
            let found = allowed(welcome(found)?, person)?;
            unclaimed(tx, &found, person).await?;
            found
        }
        // An address that nobody has verified could be anybody's: it is not kept from its owner.
        None => create(tx, person).await?,
    };
    let mut sql = tx.sql();
    sql.push("INSERT INTO account_identity (issuer, subject, account_id, created_at, updated_at) VALUES (");
    sql.bind(person.issuer.as_str()).push(", ").bind(person.subject.as_str()).push(", ").bind(found.id).push(", ");
    sql.bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.statement()).await?;
    let after = json!({ "issuer": person.issuer, "subject": person.subject });
    let thing = (Kind::Customer, found.id);
    tx.record(&[Change { action: "account.link", thing, before: None, after: Some(after) }]).await?;
    Ok(found)
}

/// An account is joined to somebody only when both the provider and the shop know that the address is theirs: whoever
/// registers with another's address, here or there, must never end up in one account with them.
fn allowed(found: row::Model, person: &Person) -> Result<row::Model> {
    let why = match (person.verified, found.email_verified_at.is_some()) {
        (true, true) => return Ok(found),
        (false, _) => "Verify your e-mail address with the provider you sign in with, then sign in again.",
        (true, false) => {
            "Sign in to it with your password and verify the address by the mail that you were sent, or reset the \
             password; then sign in this way again."
        }
    };
    let message = format!("There is an account of this e-mail address already. {why}");
    Err(Error::user(Code::AlreadyExists, "", message))
}

/// An account that somebody of this provider has is nobody else's of the same provider: there, an e-mail address may have
/// been given to another person.
async fn unclaimed(tx: &Tx, found: &row::Model, person: &Person) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("SELECT 1 FROM account_identity WHERE account_id = ").bind(found.id);
    sql.push(" AND issuer = ").bind(person.issuer.as_str());
    if tx.query_one_raw(sql.statement()).await?.is_none() {
        return Ok(());
    }
    Err(claimed())
}

fn claimed() -> Error {
    let message = "Somebody else who signs in by this provider has the account of this e-mail address. Ask the shop: its \
                   staff can help.";
    Error::user(Code::AlreadyExists, "", message)
}

async fn create(tx: &Tx, person: &Person) -> Result<row::Model> {
    let new = NewAccount {
        email: person.email.clone().filter(|_| person.verified),
        verified: person.verified,
        first_name: person.first_name.clone(),
        last_name: person.last_name.clone(),
        ..NewAccount::default()
    };
    account::create(tx, new).await
}
