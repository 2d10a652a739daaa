//! Guests: people who buy without an account.

use async_graphql::{Context, Object, SimpleObject};

use super::super::{context::scope, guard::Can, payload::payload};
use crate::{
    base::Result,
    identity::{Permission, account},
    notification::erase::{self, erase_guest},
};

/// What was erased of a guest.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct GuestErasure {
    /// Orders that have ended: they stay for the books, without personal data.
    erased_orders: i64,
    /// Orders under way, which keep what is needed to deliver them. Erase the guest again when these have ended.
    open_orders: i64,
}

impl From<erase::GuestErasure> for GuestErasure {
    fn from(done: erase::GuestErasure) -> Self {
        let erase::GuestErasure { erased_orders, open_orders } = done;
        Self { erased_orders, open_orders }
    }
}

payload!(
    /// The result of erasing a guest.
    GuestErasePayload {
        /// What was erased; null when nothing was done.
        erasure: GuestErasure
    }
);

/// The part of guests in the mutation root.
#[derive(Debug, Default)]
pub struct GuestMutation;

#[Object]
impl GuestMutation {
    /// Erases the personal data of a guest (GDPR): from carts, messages, and orders that have ended. Customers with an
    /// account are erased with `customerDelete`.
    #[graphql(guard = "Can(Permission::CustomerWrite)")]
    async fn guest_erase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The e-mail address the guest ordered with; case does not matter.")] email: String,
    ) -> Result<GuestErasePayload> {
        let erased = async {
            let email = account::email(&email, "email")?;
            scope(ctx).db.write_with_retry(|| async |tx| erase_guest(tx, &email).await).await
        };
        GuestErasePayload::settle(erased.await)
    }
}
