//! Changes of customers: by themselves, and by staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{
    context::{Scope, scope},
    customer::{Customer, whose},
    guard::{Can, SignedIn},
    message::Language,
    password::confirmation,
    payload::payload,
};
use crate::{
    base::{Error, GlobalId, Patch, Result, error::Code, id::Kind},
    cart,
    customer::{
        erase,
        profile::{self, ProfileChange, Wish},
        staff,
    },
    identity::{Caller, Permission, account, password},
    order,
};

/// What is to be said of a customer. What is left out stays as it is; null clears it.
#[derive(Debug, InputObject)]
pub struct CustomerUpdateInput {
    /// The first name, at most 100 characters.
    first_name: MaybeUndefined<String>,
    /// The last name, at most 100 characters.
    last_name: MaybeUndefined<String>,
    /// A telephone number with its country's code, or as it is dialled in the shop's country.
    phone: MaybeUndefined<String>,
    /// The language to be written to in; null: whatever the shop's own is.
    language: MaybeUndefined<Language>,
}

impl From<CustomerUpdateInput> for ProfileChange {
    fn from(input: CustomerUpdateInput) -> Self {
        let CustomerUpdateInput { first_name, last_name, phone, language } = input;
        let language = match patch(language) {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(language) => Patch::Set(language.into()),
        };
        Self { first_name: patch(first_name), last_name: patch(last_name), phone: patch(phone), language }
    }
}

/// A partial change, as the domains know it.
pub(super) fn patch<T>(said: MaybeUndefined<T>) -> Patch<T> {
    match said {
        MaybeUndefined::Undefined => Patch::Keep,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(value),
    }
}

/// What is said of a field that cannot be empty: null is refused, but of something new says as little as nothing.
pub(super) fn required<T>(said: MaybeUndefined<T>, is_new: bool, path: &str) -> Result<Option<T>> {
    match said {
        MaybeUndefined::Null if !is_new => {
            Err(Error::bad_input(path, "this must not be null: leave it out to keep it"))
        }
        MaybeUndefined::Null | MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
    }
}

payload!(
    /// What came of a change of a customer.
    CustomerPayload {
        /// The customer as they are now; null when nothing was changed.
        customer: Customer
    }
);

payload!(
    /// What came of forgetting a customer.
    CustomerDeletePayload {
        /// The id of the customer who is forgotten; null when they are not.
        deleted_customer_id: ID
    }
);

/// Who wants what of which account.
pub(super) fn wish(scope: &Scope, account: i64, expected: Option<i32>) -> Wish {
    Wish { account, caller: Some(scope.caller), expected, country: scope.shared.config.shop.country }
}

/// The customers' part of the mutation root.
#[derive(Debug, Default)]
pub struct CustomerMutation;

#[Object]
impl CustomerMutation {
    /// Change one's name, telephone number and language; or, as staff, those of a customer.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn customer_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose; oneself when not said.")] id: Option<ID>,
        #[graphql(desc = "What is to be said of them.")] input: CustomerUpdateInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CustomerPayload> {
        let scope = scope(ctx);
        let changed = async {
            let wish = wish(scope, whose(scope, id.as_ref(), "id")?, expected_version);
            scope.db.write(async |tx| profile::update(tx, wish, input.into()).await).await
        };
        CustomerPayload::settle(changed.await)
    }

    /// Keep a customer from signing in, and end their sessions.
    #[graphql(guard = "Can(Permission::CustomerWrite)")]
    async fn customer_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: ID,
    ) -> Result<CustomerPayload> {
        CustomerPayload::settle(disable(scope(ctx), &id, true).await)
    }

    /// Let a customer sign in again.
    #[graphql(guard = "Can(Permission::CustomerWrite)")]
    async fn customer_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: ID,
    ) -> Result<CustomerPayload> {
        CustomerPayload::settle(disable(scope(ctx), &id, false).await)
    }

    /// Forget oneself, or, as staff, a customer: names, e-mail address, telephone number, addresses, sessions and what
    /// the history holds of them are gone for good. What was ordered stays for the books with its amounts and its
    /// country, and names nobody; an order that is under way only once it has come to its end.
    #[graphql(guard = "SignedIn.or(Can(Permission::CustomerWrite))")]
    async fn customer_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom; oneself when not said.")] id: Option<ID>,
        #[graphql(desc = "One's own password, if one has any and means oneself.")] password: Option<String>,
    ) -> Result<CustomerDeletePayload> {
        let scope = scope(ctx);
        let gone = async {
            let key = whose(scope, id.as_ref(), "id")?;
            delete(scope, key, password).await
        };
        CustomerDeletePayload::settle(gone.await)
    }
}

async fn disable(scope: &Scope, id: &ID, disabled: bool) -> Result<Customer> {
    let wish = wish(scope, GlobalId::key(id, Kind::Customer, "id")?, None);
    let row = scope.db.write(async |tx| staff::disable(tx, wish, disabled).await).await?;
    scope.shared.gate.refresh(&scope.db).await?;
    Ok(row.into())
}

async fn delete(scope: &Scope, key: i64, password: Option<String>) -> Result<ID> {
    if matches!(scope.caller, Caller::Person { account, .. } if account == key) {
        ask_again(scope, key, password).await?;
    }
    let wish = wish(scope, key, None);
    let forgotten = scope.db.write(async |tx| {
        let row = erase::hold(tx, &wish).await?;
        cart::forget(tx, row.id).await?;
        order::keep::forget(tx, Some(row.id)).await?;
        erase::erase(tx, row).await
    });
    let key = forgotten.await?;
    scope.shared.gate.refresh(&scope.db).await?;
    Ok(GlobalId::new(Kind::Customer, key).encode().into())
}

/// Whoever found an unlocked telephone does not know its owner's password. Guessed as rarely as at the door.
async fn ask_again(scope: &Scope, key: i64, typed: Option<String>) -> Result<()> {
    let found = account::alive(&scope.db, key).await?.ok_or_else(|| Error::not_found("id", "customer"))?;
    if found.password.is_none() {
        return Ok(());
    }
    let attempt = confirmation(scope, key);
    attempt.begin(&scope.shared.db).await?;
    let typed: String = typed.unwrap_or_default().chars().take(password::LONGEST + 1).collect();
    if !scope.shared.hasher.verify(typed, found.password).await? {
        return Err(Error::user(Code::InvalidCredentials, "password", "this is not the account's password"));
    }
    attempt.succeed(&scope.shared.db).await
}
