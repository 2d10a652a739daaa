//! Staff accounts and roles.

use async_graphql::{Context, ID, InputObject, Object};

use super::{account::AccountPayload, role::AccountRole};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    graphql::{context::request_context, guard::RequirePermission, input::build_account_target},
    identity::{
        Permission, Role,
        account_admin::{self, NewStaffAccount},
    },
};

/// Input for a new staff account.
#[derive(Debug, InputObject)]
pub struct StaffCreateInput {
    /// Email address, also the login name.
    email: String,
    /// Role of the account; not `CUSTOMER`.
    role: AccountRole,
    /// First name, at most 100 characters.
    #[graphql(default)]
    first_name: String,
    /// Last name, at most 100 characters.
    #[graphql(default)]
    last_name: String,
    /// Password, from 8 to 128 characters; if omitted, the account sets one through a password reset.
    password: Option<String>,
}

/// Staff account mutations.
#[derive(Debug, Default)]
pub struct StaffMutation;

#[Object]
impl StaffMutation {
    /// Creates a staff account. The role `CUSTOMER` is rejected: use `customerCreate`.
    #[graphql(guard = "RequirePermission(Permission::StaffWrite)")]
    async fn staff_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Staff account to create.")] input: StaffCreateInput,
    ) -> Result<Option<AccountPayload>> {
        let context = request_context(ctx);
        let StaffCreateInput { email, role, first_name, last_name, password } = input;
        let new_account =
            NewStaffAccount { email, role: role.into(), first_name, last_name, password: password.map(Into::into) };
        let hash_pool = &context.app_state.password_hasher;
        let created = async {
            if new_account.role == Role::Customer {
                return Err(Error::bad_input("input.role", "this creates staff; use customerCreate for a customer"));
            }
            account_admin::create_staff_account(&context.db, hash_pool, Some(context.caller), new_account).await
        };
        AccountPayload::from_result(created.await)
    }

    /// Changes the role of an account and revokes its sessions. The last admin cannot be demoted.
    #[graphql(guard = "RequirePermission(Permission::StaffWrite)")]
    async fn staff_role_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the account.")] id: ID,
        #[graphql(desc = "New role.")] role: AccountRole,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<AccountPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target =
                build_account_target(context, GlobalId::decode_as(&id, NodeType::Account, "id")?, expected_version);
            let access_tokens = Some(&context.app_state.access_token_service);
            account_admin::set_account_role(&context.db, access_tokens, target, role.into()).await
        };
        AccountPayload::from_result(updated.await)
    }
}
