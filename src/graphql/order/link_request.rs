//! Requests of guests for the link to their order.

use async_graphql::{Context, Object};

use crate::{
    base::Result,
    graphql::{context::request_context, guard::Public, identity::password::EmailRequestPayload},
    order::link_request,
};

/// Order link mutations.
#[derive(Debug, Default)]
pub struct OrderLinkMutation;

#[Object]
impl OrderLinkMutation {
    /// Emails the link to an order, for guests who have lost it, if the number and the email address match those of the
    /// order.
    #[graphql(guard = "Public")]
    async fn order_link_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Order number: `K7QX-3M9T`; case and hyphen are ignored.")] number: String,
        #[graphql(desc = "Email address of the order; case-insensitive.")] email: String,
    ) -> Result<Option<EmailRequestPayload>> {
        let context = request_context(ctx);
        let requested = link_request::request_order_link(&context.db, context.throttle(), &number, &email).await;
        EmailRequestPayload::from_result(requested.map(|()| true))
    }
}
