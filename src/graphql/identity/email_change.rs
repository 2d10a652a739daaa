//! Changes of the email address.

use async_graphql::{Context, InputObject, Object};

use super::password::EmailRequestPayload;
use crate::{
    base::Result,
    graphql::{
        context::request_context,
        guard::{Public, RequireLogin},
        payload::payload,
    },
    identity::email_change,
};

payload!(
    /// Payload of `emailChange`.
    EmailChangePayload {
        /// New email address, which is verified.
        email: String
    }
);

/// Input of a change of the email address.
#[derive(Debug, InputObject)]
pub struct EmailChangeRequestInput {
    /// New email address.
    new_email: String,
    /// Password of the account. An account without a password sets one with `passwordResetRequest` first.
    password: String,
}

/// Email change mutations.
#[derive(Debug, Default)]
pub struct EmailChangeMutation;

#[Object]
impl EmailChangeMutation {
    /// Emails a token, valid for one day, to the new address of the caller. If another account has the address, its
    /// owner is notified instead. A later request replaces an earlier one.
    #[graphql(guard = "RequireLogin")]
    async fn email_change_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "New email address and password.")] input: EmailChangeRequestInput,
    ) -> Result<Option<EmailRequestPayload>> {
        let EmailChangeRequestInput { new_email, password } = input;
        let context = request_context(ctx);
        let requested = email_change::request_email_change(&context.identity(), &new_email, password).await;
        EmailRequestPayload::from_result(requested.map(|()| true))
    }

    /// Changes the email address with the token and notifies both addresses. The sessions that requested and confirmed
    /// the change are kept; all others are revoked.
    #[graphql(guard = "Public")]
    async fn email_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Token from the email.")] token: String,
    ) -> Result<Option<EmailChangePayload>> {
        EmailChangePayload::from_result(
            email_change::confirm_email_change(&request_context(ctx).identity(), &token).await,
        )
    }
}
