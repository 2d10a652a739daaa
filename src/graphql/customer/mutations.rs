//! Customer mutations, for customers and staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::Customer;
use crate::{
    base::{GlobalId, LanguageCode, Result, global_id::NodeType},
    customer::profile::{self, ProfilePatch},
    graphql::{
        context::request_context,
        guard::{RequireLogin, RequirePermission},
        input::{build_account_target, resolve_customer_id, to_patch},
        payload::payload,
        scalars::LanguageScalar,
    },
    identity::{
        Permission,
        registration::{self, NewCustomer},
    },
    privacy,
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
    language: MaybeUndefined<LanguageScalar>,
    /// ID of the customer in another system, unique, at most 255 characters; set by staff only.
    external_id: MaybeUndefined<String>,
}

impl From<CustomerUpdateInput> for ProfilePatch {
    fn from(input: CustomerUpdateInput) -> Self {
        let CustomerUpdateInput { first_name, last_name, phone, language, external_id } = input;
        Self {
            first_name: to_patch(first_name),
            last_name: to_patch(last_name),
            phone: to_patch(phone),
            language: to_patch(language).map(LanguageCode::from),
            external_id: to_patch(external_id),
        }
    }
}

/// Input for a new customer account.
#[derive(Debug, InputObject)]
pub struct CustomerCreateInput {
    /// Email address, also the login name.
    email: String,
    /// First name, at most 100 characters.
    #[graphql(default)]
    first_name: String,
    /// Last name, at most 100 characters.
    #[graphql(default)]
    last_name: String,
    /// Language of notifications; defaults to the shop's language.
    language: Option<LanguageScalar>,
    /// ID of the customer in another system, unique, at most 255 characters.
    external_id: Option<String>,
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
        deleted_id: ID
    }
);

/// Customer mutations.
#[derive(Debug, Default)]
pub struct CustomerMutation;

#[Object]
impl CustomerMutation {
    /// Creates a customer account without a password, for staff. The customer is emailed a token to set a password,
    /// valid for one hour; `passwordResetRequest` sends another one.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn customer_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Customer account to create.")] input: CustomerCreateInput,
    ) -> Result<Option<CustomerPayload>> {
        let CustomerCreateInput { email, first_name, last_name, language, external_id } = input;
        let language = language.map(LanguageCode::from);
        let customer = NewCustomer { email, first_name, last_name, language, external_id };
        CustomerPayload::from_result(registration::create_customer(&request_context(ctx).identity(), customer).await)
    }

    /// Updates name, phone and language of the caller or, for staff, of a customer.
    #[graphql(guard = "RequireLogin.or(RequirePermission(Permission::CustomerWrite))")]
    async fn customer_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the customer; defaults to the caller.")] id: Option<ID>,
        #[graphql(desc = "Fields to update.")] input: CustomerUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CustomerPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target =
                build_account_target(context, resolve_customer_id(context, id.as_ref(), "id")?, expected_version);
            let shop_country = context.app_state.config.shop.country;
            profile::update_profile(&context.db, target, input.into(), shop_country).await
        };
        CustomerPayload::from_result(updated.await)
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
    ) -> Result<Option<CustomerDeletePayload>> {
        let context = request_context(ctx);
        let deleted = async {
            let target = build_account_target(context, resolve_customer_id(context, id.as_ref(), "id")?, None);
            privacy::delete_account(&context.identity(), target, password).await
        };
        CustomerDeletePayload::from_result(
            deleted.await.map(|account_id| GlobalId::new(NodeType::Customer, account_id).encode()),
        )
    }
}
