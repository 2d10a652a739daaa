//! Accounts of staff: made, and given roles.

use async_graphql::{Context, ID, InputObject, Object};

use super::{
    context::scope,
    guard::Can,
    profile::{CustomerPayload, wish},
    role::Role,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    customer::staff::{self, Candidate},
    identity::{Permission, account},
};

/// Whom a new account is for.
#[derive(Debug, InputObject)]
pub struct StaffCreateInput {
    /// Where mail goes; also what they sign in with.
    email: String,
    /// What they may do.
    role: Role,
    /// At most 100 characters.
    #[graphql(default)]
    first_name: String,
    /// At most 100 characters.
    #[graphql(default)]
    last_name: String,
    /// From 8 to 128 characters; without one they ask for a mail to set their own.
    password: Option<String>,
}

/// The staff's part of the mutation root.
#[derive(Debug, Default)]
pub struct StaffMutation;

#[Object]
impl StaffMutation {
    /// Make an account of somebody who works for the shop.
    #[graphql(guard = "Can(Permission::StaffWrite)")]
    async fn staff_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom it is for.")] input: StaffCreateInput,
    ) -> Result<CustomerPayload> {
        let scope = scope(ctx);
        let StaffCreateInput { email, role, first_name, last_name, password } = input;
        let made = async {
            staff::may_give(Some(scope.caller), role.into())?;
            let new = Candidate { email, role: role.into(), first_name, last_name, password }
                .read(&scope.shared.hasher)
                .await?;
            scope.db.write(async |tx| account::create(tx, new).await).await
        };
        CustomerPayload::settle(made.await)
    }

    /// Give an account another role. Its sessions end, so that the role counts at once; the last admin stays one.
    #[graphql(guard = "Can(Permission::StaffWrite)")]
    async fn staff_role_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose.")] id: ID,
        #[graphql(desc = "What they may do from now on.")] role: Role,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CustomerPayload> {
        let scope = scope(ctx);
        let changed = async {
            let wish = wish(scope, GlobalId::key(&id, Kind::Customer, "id")?, expected_version);
            let row = scope.db.write(async |tx| staff::set_role(tx, wish, role.into()).await).await?;
            scope.shared.gate.refresh(&scope.db).await?;
            Ok(row)
        };
        CustomerPayload::settle(changed.await)
    }
}
