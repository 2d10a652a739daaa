//! What staff do about accounts: who may sign in, and what with.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::LockType,
};
use serde_json::json;

use super::{
    profile::{CustomerChanged, Wish},
    reach,
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    identity::{
        self, Caller, Hasher, Role,
        account::{NewAccount, Typed},
        api_key,
        entity::account,
        secret, session,
    },
    infra::{Change, Db, Tx},
};

/// The characters of a password that was made for somebody: more than 140 bits.
const GENERATED: usize = 24;

/// Whom an account of staff is for.
#[derive(Debug)]
pub struct Candidate {
    /// Where mail goes; whoever makes the account vouches for it.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// What they sign in with, if they do not set one themselves.
    pub password: Option<String>,
}

impl Candidate {
    /// The account to be made, its password hashed. Everything that is wrong is said at once.
    ///
    /// # Errors
    /// When it cannot be.
    pub async fn read(self, hasher: &Hasher) -> Result<NewAccount> {
        let Self { email, role, first_name, last_name, password } = self;
        let typed =
            Typed { email: &email, first_name: &first_name, last_name: &last_name, password: password.as_deref() };
        let read = typed.read()?;
        let password = match password {
            Some(password) => Some(hasher.hash(password).await?),
            None => None,
        };
        Ok(NewAccount { verified: true, password, role, ..read })
    }
}

/// Keeps an account from signing in, and ends its sessions; or lets it sign in again.
///
/// # Errors
/// When it is not there, is of staff and the caller may not change those, or is the last admin.
pub async fn disable(tx: &Tx, wish: Wish, disabled: bool) -> Result<account::Model> {
    let admins = admins(tx).await?;
    let row = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(row.version, wish.expected)?;
    if row.disabled_at.is_some() == disabled {
        return Ok(row);
    }
    if disabled {
        keep_one(&admins, row.id, "id")?;
        session::revoke(tx, row.id, None).await?;
        api_key::revoke_all_of(tx, row.id).await?;
    }
    let (key, version) = (row.id, row.version + 1);
    let mut row = row.into_active_model();
    row.disabled_at = Set(disabled.then(|| tx.now()));
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let action = if disabled { "customer.disable" } else { "customer.enable" };
    let (before, after) = (json!({ "disabled": !disabled }), json!({ "disabled": disabled }));
    tx.record(&[Change { action, thing: (Kind::Customer, key), before: Some(before), after: Some(after) }]).await?;
    tx.emit(CustomerChanged { customer: key }).await?;
    Ok(row)
}

/// Nobody gives what they do not have.
///
/// # Errors
/// When a role may do more than the caller.
pub fn may_give(caller: Option<Caller>, role: Role) -> Result<()> {
    if caller.is_none_or(|caller| caller.permissions().covers(role.permissions())) {
        return Ok(());
    }
    Err(Error::user(Code::Forbidden, "role", format!("The role {} may do more than you.", role.name())))
}

/// Gives an account another role, and ends its sessions, so that it counts at once.
///
/// # Errors
/// When it is not there, has changed since, is the last admin, or the role may do more than who gives it.
pub async fn set_role(tx: &Tx, wish: Wish, role: Role) -> Result<account::Model> {
    may_give(wish.caller, role)?;
    let admins = admins(tx).await?;
    let row = reach::hold_for(tx, wish.account, wish.caller).await?;
    reach::expect(row.version, wish.expected)?;
    if row.role == role {
        return Ok(row);
    }
    keep_one(&admins, row.id, "id")?;
    session::revoke(tx, row.id, None).await?;
    if !role.permissions().covers(row.role.permissions()) {
        api_key::revoke_all_of(tx, row.id).await?;
    }
    let (key, version, was) = (row.id, row.version + 1, row.role);
    let mut row = row.into_active_model();
    row.role = Set(role);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let (before, after) = (json!({ "role": was.name() }), json!({ "role": role.name() }));
    let thing = (Kind::Customer, key);
    tx.record(&[Change { action: "staff.role", thing, before: Some(before), after: Some(after) }]).await?;
    tx.emit(CustomerChanged { customer: key }).await?;
    Ok(row)
}

/// The admins who can sign in, as they are until the transaction ends: two who would take each other's role, each of them
/// not the last, wait for each other here. Always taken before an account of its own, and in one order.
pub(super) async fn admins(tx: &Tx) -> Result<Vec<i64>> {
    let rows = account::Entity::find()
        .filter(account::Column::Role.eq(Role::Admin))
        .filter(account::Column::DeletedAt.is_null())
        .order_by_asc(account::Column::CreatedAt)
        .order_by_asc(account::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    Ok(rows.into_iter().filter(|row| row.disabled_at.is_none()).map(|row| row.id).collect())
}

/// A shop without an admin could not be helped from inside.
pub(super) fn keep_one(admins: &[i64], going: i64, field: &str) -> Result<()> {
    if admins == [going] {
        let message = "this is the last admin who can sign in; make another one first";
        return Err(Error::user(Code::IllegalTransition, field, message));
    }
    Ok(())
}

/// Makes the first admin of a shop where nobody has an account, and a password that is told this once; `None` where
/// somebody has one.
///
/// # Errors
/// When the database refuses.
pub async fn first_admin(db: &Db, email: &str) -> Result<Option<String>> {
    if account::Entity::find().count(db).await? > 0 {
        return Ok(None);
    }
    let password = generated()?;
    let (first_name, last_name) = (String::new(), String::new());
    let candidate = Candidate {
        email: email.to_owned(),
        role: Role::Admin,
        first_name,
        last_name,
        password: Some(password.clone()),
    };
    let new = candidate.read(&Hasher::new(0)).await?;
    let made = db.write(async |tx| {
        if account::Entity::find().count(tx).await? > 0 {
            return Ok(None);
        }
        identity::account::create(tx, new).await.map(|_| Some(password))
    });
    match made.await {
        // Another instance that started at the same moment was faster.
        Err(why) if why.public().code == Code::AlreadyExists => Ok(None),
        outcome => outcome,
    }
}

/// A password that nobody has thought of.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generated() -> Result<String> {
    Ok(secret::random()?.chars().filter(char::is_ascii_alphanumeric).take(GENERATED).collect())
}
