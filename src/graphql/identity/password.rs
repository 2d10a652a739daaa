//! Password changes and resets, email verification.

use async_graphql::{Context, InputObject, Object};

use super::session::SessionPayload;
use crate::{
    base::Result,
    graphql::{
        context::request_context,
        guard::{Public, RequireLogin},
        payload::payload,
    },
    identity::{password_change, registration},
};

payload!(
    /// Payload of the email requests. Does not reveal whether an account or an order exists.
    EmailRequestPayload {
        /// Whether the request was accepted. An email is sent only if the account or the order exists.
        accepted: bool
    }
);

payload!(
    /// Payload of `emailVerify`.
    EmailVerifyPayload {
        /// Verified email address.
        email: String
    }
);

/// Input of a password change.
#[derive(Debug, InputObject)]
pub struct PasswordChangeInput {
    /// Current password.
    current_password: String,
    /// New password, from 8 to 128 characters.
    new_password: String,
}

/// Password and email verification mutations.
#[derive(Debug, Default)]
pub struct PasswordMutation;

#[Object]
impl PasswordMutation {
    /// Changes the caller's password. All other sessions are revoked; new tokens are returned.
    #[graphql(guard = "RequireLogin")]
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Current and new password.")] input: PasswordChangeInput,
    ) -> Result<Option<SessionPayload>> {
        let PasswordChangeInput { current_password, new_password } = input;
        SessionPayload::from_result(
            password_change::change_password(&request_context(ctx).identity(), current_password, new_password).await,
        )
    }

    /// Emails a password-reset token, valid for one hour.
    #[graphql(guard = "Public")]
    async fn password_reset_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Email address of the account.")] email: String,
    ) -> Result<Option<EmailRequestPayload>> {
        let requested = password_change::request_password_reset(&request_context(ctx).identity(), &email).await;
        EmailRequestPayload::from_result(requested.map(|()| true))
    }

    /// Sets a new password with a reset token. All sessions are revoked; new tokens are returned.
    #[graphql(guard = "Public")]
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Token from the email.")] token: String,
        #[graphql(desc = "New password, from 8 to 128 characters.")] new_password: String,
    ) -> Result<Option<SessionPayload>> {
        SessionPayload::from_result(
            password_change::reset_password(&request_context(ctx).identity(), &token, new_password).await,
        )
    }

    /// Emails a verification token, valid for two days.
    #[graphql(guard = "RequireLogin")]
    async fn email_verification_request(&self, ctx: &Context<'_>) -> Result<Option<EmailRequestPayload>> {
        let requested = registration::request_email_verification(&request_context(ctx).identity()).await;
        EmailRequestPayload::from_result(requested.map(|()| true))
    }

    /// Verifies the email address with the token.
    #[graphql(guard = "Public")]
    async fn email_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Token from the email.")] token: String,
    ) -> Result<Option<EmailVerifyPayload>> {
        EmailVerifyPayload::from_result(registration::verify_email(&request_context(ctx).identity(), &token).await)
    }
}
