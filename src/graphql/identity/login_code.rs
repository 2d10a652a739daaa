//! Login with a one-time code, and verification of phone numbers.

use async_graphql::{Context, ID, InputObject, Object, OneofObject};

use super::session::{SessionPayload, finish_login};
use crate::{
    base::Result,
    graphql::{
        context::request_context,
        guard::{Public, RequireLogin},
        payload::payload,
    },
    identity::code_login::{self, EnteredCode, LoginCodeRecipient},
};

payload!(
    /// Payload of the code requests. Does not reveal whether an account exists.
    LoginCodeRequestPayload {
        /// Secret token of the request, needed with the code. A code is sent only if the account exists.
        request: String
    }
);

payload!(
    /// Payload of `phoneVerify`.
    PhoneVerifyPayload {
        /// Verified phone number.
        phone: String
    }
);

/// Recipient of a one-time code.
#[derive(Debug, OneofObject)]
pub enum LoginCodeRecipientInput {
    /// Email address of the account; case-insensitive.
    Email(String),
    /// Verified phone number of the account, in international format or the national format of the shop's country.
    Phone(String),
}

/// One-time code for a login.
#[derive(Debug, InputObject)]
pub struct LoginCodeInput {
    /// Token of the request, from `loginCodeRequest`.
    request: String,
    /// Code of six digits from the message; spaces and hyphens are ignored.
    code: String,
    /// ID of the guest cart to merge, as by `cartMerge`; the login succeeds even if the merge fails.
    cart_id: Option<ID>,
}

/// One-time code that verifies a phone number.
#[derive(Debug, InputObject)]
pub struct PhoneVerifyInput {
    /// Token of the request, from `phoneVerificationRequest`.
    request: String,
    /// Code of six digits from the SMS; spaces and hyphens are ignored.
    code: String,
}

/// One-time code mutations.
#[derive(Debug, Default)]
pub struct LoginCodeMutation;

#[Object]
impl LoginCodeMutation {
    /// Sends a one-time code by email or SMS to a customer, valid for ten minutes and five attempts.
    #[graphql(guard = "Public")]
    async fn login_code_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Email address or phone number.")] recipient: LoginCodeRecipientInput,
    ) -> Result<Option<LoginCodeRequestPayload>> {
        let context = request_context(ctx);
        let recipient = match recipient {
            LoginCodeRecipientInput::Email(email) => LoginCodeRecipient::Email(email),
            LoginCodeRecipientInput::Phone(phone) => {
                LoginCodeRecipient::Phone(phone, context.app_state.config.shop.country)
            }
        };
        LoginCodeRequestPayload::from_result(code_login::request_login_code(&context.identity(), recipient).await)
    }

    /// Logs in with a one-time code. The first code that is sent to an unverified email address verifies it, removes the
    /// password of the account and revokes its other sessions.
    #[graphql(guard = "Public")]
    async fn login_code(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Request and code.")] input: LoginCodeInput,
    ) -> Result<Option<SessionPayload>> {
        let context = request_context(ctx);
        let LoginCodeInput { request, code, cart_id } = input;
        let entered = EnteredCode { request: request.into(), code: code.into() };
        finish_login(context, code_login::log_in_with_code(&context.identity(), entered).await, cart_id).await
    }

    /// Sends a one-time code by SMS that verifies the caller's phone number, valid for ten minutes and five attempts.
    #[graphql(guard = "RequireLogin")]
    async fn phone_verification_request(&self, ctx: &Context<'_>) -> Result<Option<LoginCodeRequestPayload>> {
        let requested = code_login::request_phone_verification(&request_context(ctx).identity()).await;
        LoginCodeRequestPayload::from_result(requested)
    }

    /// Verifies the caller's phone number with a one-time code; it can then be used by `loginCodeRequest`. Another
    /// account with the number loses its verification.
    #[graphql(guard = "RequireLogin")]
    async fn phone_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Request and code.")] input: PhoneVerifyInput,
    ) -> Result<Option<PhoneVerifyPayload>> {
        let PhoneVerifyInput { request, code } = input;
        let entered = EnteredCode { request: request.into(), code: code.into() };
        PhoneVerifyPayload::from_result(code_login::verify_phone(&request_context(ctx).identity(), entered).await)
    }
}
