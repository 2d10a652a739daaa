//! Customer mutations, for customers and staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{
    context::{RequestContext, request_context},
    customer::Customer,
    guard::{RequireLogin, RequirePermission},
    input::{build_account_target, resolve_customer_id},
    password::build_login_attempt,
    payload::payload,
    scalars::Language,
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType},
    cart,
    customer::{
        erasure,
        profile::{self, ProfilePatch},
        staff_accounts,
    },
    identity::{Caller, Permission, account, password},
    order,
};

/// Fields of a customer to update. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct CustomerUpdateInput {
    /// First name, at most 100 characters.
    first_name: MaybeUndefined<String>,
    /// Last name, at most 100 characters.
    last_name: MaybeUndefined<String>,
    /// Phone number, in international format or the national format of the shop's country.
    phone: MaybeUndefined<String>,
    /// Language of notifications; null for the shop's default.
    language: MaybeUndefined<Language>,
}

impl From<CustomerUpdateInput> for ProfilePatch {
    fn from(input: CustomerUpdateInput) -> Self {
        let CustomerUpdateInput { first_name, last_name, phone, language } = input;
        let language = language.map_value(Into::into).into();
        Self { first_name: first_name.into(), last_name: last_name.into(), phone: phone.into(), language }
    }
}

payload!(
    /// Payload of the customer mutations.
    CustomerPayload {
        /// Customer after the mutation; null if nothing was changed.
        customer: Customer
    }
);

payload!(
    /// Payload of `customerDelete`.
    CustomerDeletePayload {
        /// ID of the erased customer; null if nothing was erased.
        deleted_customer_id: ID
    }
);

/// Customer mutations.
#[derive(Debug, Default)]
pub struct CustomerMutation;

#[Object]
impl CustomerMutation {
    /// Updates name, phone and language of the caller or, for staff, of a customer.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn customer_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer; defaults to the caller.")] id: Option<ID>,
        #[graphql(desc = "Fields to update.")] input: CustomerUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<CustomerPayload> {
        let context = request_context(ctx);
        let updated = async {
            let target =
                build_account_target(context, resolve_customer_id(context, id.as_ref(), "id")?, expected_version);
            let shop_country = context.app_state.config.shop.country;
            context.db.write(async |tx| profile::update_profile(tx, target, input.into(), shop_country).await).await
        };
        CustomerPayload::from_result(updated.await)
    }

    /// Blocks a customer from logging in and revokes their sessions.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn customer_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer.")] id: ID,
    ) -> Result<CustomerPayload> {
        CustomerPayload::from_result(set_customer_disabled(request_context(ctx), &id, true).await)
    }

    /// Lifts the login block of a customer.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn customer_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer.")] id: ID,
    ) -> Result<CustomerPayload> {
        CustomerPayload::from_result(set_customer_disabled(request_context(ctx), &id, false).await)
    }

    /// Erases the personal data of the caller or, for staff, of a customer: names, email, phone number, addresses,
    /// sessions and history. Orders are kept anonymized for accounting; open orders are anonymized once they are
    /// finished.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn customer_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer; defaults to the caller.")] id: Option<ID>,
        #[graphql(desc = "Password of the caller; required for self-deletion.")] password: Option<String>,
    ) -> Result<CustomerDeletePayload> {
        let context = request_context(ctx);
        let deleted = async {
            let account_id = resolve_customer_id(context, id.as_ref(), "id")?;
            delete_customer(context, account_id, password).await
        };
        CustomerDeletePayload::from_result(deleted.await)
    }
}

async fn set_customer_disabled(context: &RequestContext, id: &ID, disabled: bool) -> Result<Customer> {
    let target = build_account_target(context, GlobalId::decode_as(id, NodeType::Customer, "id")?, None);
    let row = context.db.write(async |tx| staff_accounts::set_account_disabled(tx, target, disabled).await).await?;
    context.app_state.access_token_service.refresh(&context.db).await?;
    Ok(row.into())
}

async fn delete_customer(context: &RequestContext, account_id: i64, password: Option<String>) -> Result<ID> {
    if matches!(context.caller, Caller::User { account_id: caller_account_id, .. } if caller_account_id == account_id) {
        confirm_password(context, account_id, password).await?;
    }
    let target = build_account_target(context, account_id, None);
    let erased = context.db.write(async |tx| {
        let row = erasure::lock_erasable_account(tx, &target).await?;
        cart::delete_carts_by_account(tx, row.id).await?;
        order::privacy::anonymize_orders(tx, Some(row.id)).await?;
        erasure::erase_account(tx, row).await
    });
    let account_id = erased.await?;
    context.app_state.access_token_service.refresh(&context.db).await?;
    Ok(GlobalId::new(NodeType::Customer, account_id).encode().into())
}

/// Verifies the password, so that access to an unlocked device is not sufficient. Counts toward the login rate limit.
async fn confirm_password(context: &RequestContext, account_id: i64, password: Option<String>) -> Result<()> {
    let account = account::find_active_account(&context.db, account_id)
        .await?
        .ok_or_else(|| Error::not_found("id", "customer"))?;
    if account.password.is_none() {
        return Ok(());
    }
    let attempt = build_login_attempt(context, account_id);
    attempt.count_as_failure(&context.app_state.db).await?;
    let password: String = password.unwrap_or_default().chars().take(password::MAX_PASSWORD_CHARS + 1).collect();
    if !context.app_state.password_hasher.verify(password, account.password).await? {
        return Err(Error::user(PublicErrorCode::InvalidCredentials, "password", "this is not the account's password"));
    }
    attempt.clear_failure(&context.app_state.db).await
}
