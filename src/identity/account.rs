//! Accounts: everybody who can sign in.

use email_address::{EmailAddress, Options};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Set, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Role, entity::account, password};
use crate::{
    base::{Error, Language, Result, error::Code, id::Kind, link::contains_link, text},
    infra::{Change, Tx, outbox::Event},
};

/// The longest first or last name. Characters.
pub const NAME_LIMIT: usize = 100;
/// The longest e-mail address. Characters.
const EMAIL_LIMIT: usize = 254;

/// An account that is to be made. The e-mail address has been [read](email), the password hashed.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Where its mail goes; `None` for somebody whom a provider knows without one.
    pub email: Option<String>,
    /// Whether that is known to be theirs.
    pub verified: bool,
    /// The hash of a password, if it has one.
    pub password: Option<String>,
    /// What it may do.
    pub role: Role,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// What its owner is written to in; `None`: whatever the shop speaks.
    pub language: Option<Language>,
}

/// What somebody types who wants an account, or makes one for somebody else.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// Where mail goes.
    pub email: &'a str,
    /// May be empty.
    pub first_name: &'a str,
    /// May be empty.
    pub last_name: &'a str,
    /// What they sign in with, if it is said.
    pub password: Option<&'a str>,
}

impl Typed<'_> {
    /// The account to be made, for now without its password, which is slow to hash. Everything that is wrong is said at
    /// once.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn read(self) -> Result<NewAccount> {
        let Self { email: typed, first_name, last_name, password } = self;
        let read = (
            email(typed, "input.email"),
            name(first_name, "input.firstName"),
            name(last_name, "input.lastName"),
            password.map_or(Ok(()), |password| password::check(password, typed, "input.password")),
        );
        let mut problems = Vec::new();
        let wrong = [read.0.as_ref().err(), read.1.as_ref().err(), read.2.as_ref().err(), read.3.as_ref().err()];
        for why in wrong.into_iter().flatten() {
            problems.extend(why.clone().problems()?);
        }
        Error::all(problems)?;
        Ok(NewAccount { email: Some(read.0?), first_name: read.1?, last_name: read.2?, ..NewAccount::default() })
    }
}

/// An e-mail address, without what surrounds it; `field` is where it was given.
///
/// # Errors
/// When it is none.
pub fn email(typed: &str, field: &str) -> Result<String> {
    let email = typed.trim();
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"');
    if email.len() <= EMAIL_LIMIT && plain && EmailAddress::parse_with_options(email, options).is_ok() {
        return Ok(email.to_owned());
    }
    Err(Error::bad_input(field, "this is not an e-mail address; write it like name@example.com"))
}

/// By what an e-mail address is found: people do not know in which case they wrote theirs.
#[must_use]
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// A name as people may write it; `field` is where it was given.
///
/// # Errors
/// When it is too long or holds what cannot be read.
pub fn name(typed: &str, field: &str) -> Result<String> {
    let name = typed.trim();
    let length = name.chars().count();
    if length > NAME_LIMIT {
        return Err(Error::bad_input(
            field,
            format!("a name has at most {NAME_LIMIT} characters; this one has {length}"),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::bad_input(field, "a name has no control characters"));
    }
    if contains_link(name) {
        return Err(Error::bad_input(field, "this must not contain a link"));
    }
    Ok(name.to_owned())
}

/// What staff find a name by, folded: the whole of it, and its last part.
#[must_use]
pub fn name_keys(first: &str, last: &str) -> (String, String) {
    (text::search_key(&format!("{first} {last}")), text::search_key(last))
}

/// Somebody has an account from now on, as a customer.
#[derive(Debug, Deserialize, Serialize)]
pub struct CustomerRegistered {
    /// Its key.
    pub customer: i64,
}

impl Event for CustomerRegistered {
    const KIND: &'static str = "CustomerRegistered";

    fn aggregate(&self) -> String {
        format!("customer:{}", self.customer)
    }
}

/// Makes an account.
///
/// # Errors
/// When the e-mail address has an account, or the database refuses.
pub async fn create(tx: &Tx, new: NewAccount) -> Result<account::Model> {
    let NewAccount { email, verified, password, role, first_name, last_name, language } = new;
    let (name_key, last_name_key) = name_keys(&first_name, &last_name);
    let row = account::ActiveModel {
        name_key: Set(name_key),
        last_name_key: Set(last_name_key),
        email_key: Set(email.as_deref().map(email_key)),
        email_verified_at: Set((verified && email.is_some()).then_some(tx.now())),
        email: Set(email),
        password: Set(password),
        role: Set(role),
        language: Set(language),
        first_name: Set(first_name),
        last_name: Set(last_name),
        version: Set(1),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let made = row.insert(tx).await.map_err(Error::from).map_err(|why| if why.is_taken() { taken() } else { why })?;
    let after = json!({ "role": role.name(), "email": made.email });
    tx.record(&[Change {
        action: "account.create",
        thing: (Kind::Customer, made.id),
        before: None,
        after: Some(after),
    }])
    .await?;
    if role == Role::Customer {
        tx.emit(CustomerRegistered { customer: made.id }).await?;
    }
    Ok(made)
}

/// There is an account of this e-mail address.
#[must_use]
pub fn taken() -> Error {
    Error::user(
        Code::AlreadyExists,
        "input.email",
        "there is an account of this e-mail address: sign in, or reset its password",
    )
}

/// The account of an e-mail address, if there is one.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_email(db: &impl ConnectionTrait, email: &str) -> Result<Option<account::Model>> {
    Ok(account::Entity::find().filter(account::Column::EmailKey.eq(email_key(email.trim()))).one(db).await?)
}

/// An account that can sign in.
///
/// # Errors
/// When the database cannot be asked.
pub async fn alive(db: &impl ConnectionTrait, key: i64) -> Result<Option<account::Model>> {
    let found = account::Entity::find_by_id(key).one(db).await?;
    Ok(found.filter(|found| found.deleted_at.is_none() && found.disabled_at.is_none()))
}

/// Replaces the password that an account was known by, unless that was changed or the account was shut meanwhile: whoever
/// has shown an older password must not overwrite a newer one.
///
/// # Errors
/// When it was, or the database refuses.
pub async fn replace_password(tx: &Tx, known: account::Model, hash: String) -> Result<account::Model> {
    let same = match &known.password {
        Some(password) => account::Column::Password.eq(password.as_str()),
        None => account::Column::Password.is_null(),
    };
    let replaced = account::Entity::update_many()
        .col_expr(account::Column::Password, Expr::value(hash.as_str()))
        .col_expr(account::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(account::Column::Id.eq(known.id))
        .filter(same)
        .filter(account::Column::DisabledAt.is_null())
        .filter(account::Column::DeletedAt.is_null())
        .exec(tx)
        .await?;
    if replaced.rows_affected == 0 {
        return Err(super::session::stale());
    }
    Ok(account::Model { password: Some(hash), ..known })
}

/// Notes that the e-mail address of an account is its owner's.
///
/// # Errors
/// When the database refuses.
pub async fn verify_email(tx: &Tx, key: i64) -> Result<()> {
    account::Entity::update_many()
        .col_expr(account::Column::EmailVerifiedAt, Expr::value(tx.now()))
        .col_expr(account::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(account::Column::Id.eq(key))
        .exec(tx)
        .await?;
    Ok(())
}

/// Gives an account another e-mail address, which is known to be its owner's.
///
/// # Errors
/// When another account has it, or the database refuses.
pub async fn change_email(tx: &Tx, known: account::Model, email: &str) -> Result<account::Model> {
    let (key, before, version) = (known.id, known.email.clone(), known.version + 1);
    let mut row = known.into_active_model();
    row.email = Set(Some(email.to_owned()));
    row.email_key = Set(Some(email_key(email)));
    row.email_verified_at = Set(Some(tx.now()));
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let (before, after) = (json!({ "email": before }), json!({ "email": row.email }));
    let thing = (Kind::Customer, key);
    tx.record(&[Change { action: "account.change_email", thing, before: Some(before), after: Some(after) }]).await?;
    Ok(row)
}
