//! What a shopper says of a cart besides its lines.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{
    super::{
        context::scope,
        guard::Anybody,
        postal::{AddressChoiceInput, place},
        profile::patch,
        throttle::limit_cart_changes,
    },
    change::{CartPayload, target},
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    cart::said::{self, Places},
};

/// Where a cart goes. What is left out stays as it is; null clears it.
#[derive(Debug, InputObject)]
pub struct CartAddressInput {
    /// Where the goods go.
    shipping: MaybeUndefined<AddressChoiceInput>,
    /// Where the bill goes; where the goods go when nothing is said.
    billing: MaybeUndefined<AddressChoiceInput>,
}

/// How whoever buys can be reached. What is left out stays as it is; null clears it.
#[derive(Debug, InputObject)]
pub struct CartContactInput {
    /// Where mail about the order goes.
    email: MaybeUndefined<String>,
    /// A telephone number with its country's code, or as it is dialled where the cart goes.
    phone: MaybeUndefined<String>,
}

/// The part of what is said of carts in the mutation root.
#[derive(Debug, Default)]
pub struct CartSaidMutation;

#[Object]
impl CartSaidMutation {
    /// Say where a cart goes: taxes and ways of shipping are those of that country. The cart keeps a copy.
    #[graphql(guard = "Anybody")]
    async fn cart_address_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "Where it goes, and where the bill.")] input: CartAddressInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let changed = async {
            limit_cart_changes(scope).await?;
            let CartAddressInput { shipping, billing } = input;
            let shipping = place(shipping, "input.shipping")?;
            let places = Places { shipping, billing: place(billing, "input.billing")? };
            let (target, country) = (target(scope, &id, expected_version), scope.shared.config.shop.country);
            scope.db.write(async |tx| said::set_places(tx, target, places, country).await).await
        };
        CartPayload::settle(changed.await)
    }

    /// Choose how a cart is sent, among its `availableShippingMethods`.
    #[graphql(guard = "Anybody")]
    async fn cart_shipping_method_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "The way's id; null to choose none.")] shipping_method_id: Option<ID>,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let changed = async {
            limit_cart_changes(scope).await?;
            let key = |id: ID| GlobalId::key(&id, Kind::ShippingMethod, "shippingMethodId");
            let method = shipping_method_id.map(key).transpose()?;
            let target = target(scope, &id, expected_version);
            let (tree, country) = (scope.tree(), scope.shared.config.shop.country);
            scope.db.write(async |tx| said::set_method(tx, target, method, (&tree, country)).await).await
        };
        CartPayload::settle(changed.await)
    }

    /// Tell whoever packs the cart something.
    #[graphql(guard = "Anybody")]
    async fn cart_note_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "At most 1000 characters; null to say nothing.")] note: Option<String>,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let changed = async {
            limit_cart_changes(scope).await?;
            let target = target(scope, &id, expected_version);
            scope.db.write(async |tx| said::set_note(tx, target, note.as_deref()).await).await
        };
        CartPayload::settle(changed.await)
    }

    /// Say how whoever buys can be reached: an order needs an e-mail address or a telephone number.
    #[graphql(guard = "Anybody")]
    async fn cart_contact_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "What is to be said.")] input: CartContactInput,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let changed = async {
            limit_cart_changes(scope).await?;
            let CartContactInput { email, phone } = input;
            let target = target(scope, &id, expected_version);
            let (said, country) = ((patch(email), patch(phone)), scope.shared.config.shop.country);
            scope.db.write(async |tx| said::set_contact(tx, target, said, country).await).await
        };
        CartPayload::settle(changed.await)
    }
}
