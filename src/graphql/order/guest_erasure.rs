//! Erasure of guests: buyers without an account.

use async_graphql::{Context, Object, SimpleObject};

use crate::{
    base::Result,
    graphql::{context::request_context, guard::RequirePermission, payload::payload},
    identity::Permission,
    privacy::{self, GuestErasureCounts},
};

/// Result of erasing a guest's data.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct GuestErasure {
    /// Number of finished orders: they are kept for accounting, without personal data.
    erased_orders: i64,
    /// Number of open orders, which keep the data needed for delivery. Erase the guest again when they are finished.
    open_orders: i64,
}

impl From<GuestErasureCounts> for GuestErasure {
    fn from(erasure: GuestErasureCounts) -> Self {
        let GuestErasureCounts { erased_orders, open_orders } = erasure;
        Self { erased_orders, open_orders }
    }
}

payload!(
    /// Payload of `guestErase`.
    GuestErasePayload {
        /// Result of the erasure; null if nothing was erased.
        erasure: GuestErasure
    }
);

/// Guest fields of the mutation root.
#[derive(Debug, Default)]
pub struct GuestMutation;

#[Object]
impl GuestMutation {
    /// Erases the personal data of a guest (GDPR) from carts, notifications and finished orders. Customers with an
    /// account are erased with `customerDelete`.
    #[graphql(guard = "RequirePermission(Permission::CustomerWrite)")]
    async fn guest_erase(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Email address of the guest's orders, case-insensitive.")] email: String,
    ) -> Result<Option<GuestErasePayload>> {
        GuestErasePayload::from_result(privacy::erase_guest(&request_context(ctx).db, &email).await)
    }
}
