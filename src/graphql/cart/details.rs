//! Mutations of cart details: addresses, contact, note and shipping method.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{
    super::{
        context::request_context,
        guard::Public,
        postal::{AddressChoiceInput, parse_address_patch},
        profile::to_patch,
    },
    mutations::{CartPayload, build_cart_target},
};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    cart::{
        self,
        details::{self, CartAddresses},
    },
};

/// Addresses of a cart. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct CartAddressInput {
    /// Shipping address.
    shipping: MaybeUndefined<AddressChoiceInput>,
    /// Billing address; defaults to the shipping address.
    billing: MaybeUndefined<AddressChoiceInput>,
}

/// Contact details of the buyer. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct CartContactInput {
    /// Email address for order notifications.
    email: MaybeUndefined<String>,
    /// Phone number (E.164, or in national format of the shipping country).
    phone: MaybeUndefined<String>,
}

/// Cart detail fields of the mutation root.
#[derive(Debug, Default)]
pub struct CartDetailsMutation;

#[Object]
impl CartDetailsMutation {
    /// Sets the addresses of a cart; taxes and shipping methods follow the shipping country. The cart stores a copy.
    #[graphql(guard = "Public")]
    async fn cart_address_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Shipping and billing address.")] input: CartAddressInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let context = request_context(ctx);
        let updated = async {
            cart::limit_cart_changes(&context.throttle(), context.caller).await?;
            let CartAddressInput { shipping, billing } = input;
            let shipping = parse_address_patch(shipping, "input.shipping")?;
            let addresses = CartAddresses { shipping, billing: parse_address_patch(billing, "input.billing")? };
            let (target, country) =
                (build_cart_target(context, &id, expected_version), context.app_state.config.shop.country);
            details::set_addresses(&context.db, target, addresses, country).await
        };
        CartPayload::from_result(updated.await)
    }

    /// Selects one of the cart's `availableShippingMethods`.
    #[graphql(guard = "Public")]
    async fn cart_shipping_method_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "ID of the shipping method; null clears the selection.")] shipping_method_id: Option<ID>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let context = request_context(ctx);
        let updated = async {
            cart::limit_cart_changes(&context.throttle(), context.caller).await?;
            let parse_method_id = |id: ID| GlobalId::decode_as(&id, NodeType::ShippingMethod, "shippingMethodId");
            let method_id = shipping_method_id.map(parse_method_id).transpose()?;
            let target = build_cart_target(context, &id, expected_version);
            let (category_tree, country) = (context.category_tree(), context.app_state.config.shop.country);
            details::set_shipping_method(&context.db, target, method_id, (&category_tree, country)).await
        };
        CartPayload::from_result(updated.await)
    }

    /// Sets the note for the packer.
    #[graphql(guard = "Public")]
    async fn cart_note_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Note, at most 1000 characters; null clears it.")] note: Option<String>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let context = request_context(ctx);
        let updated = async {
            cart::limit_cart_changes(&context.throttle(), context.caller).await?;
            let target = build_cart_target(context, &id, expected_version);
            details::set_note(&context.db, target, note.as_deref()).await
        };
        CartPayload::from_result(updated.await)
    }

    /// Sets the email or phone of the buyer; an order needs one of them.
    #[graphql(guard = "Public")]
    async fn cart_contact_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Contact details.")] input: CartContactInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let context = request_context(ctx);
        let updated = async {
            cart::limit_cart_changes(&context.throttle(), context.caller).await?;
            let CartContactInput { email, phone } = input;
            let target = build_cart_target(context, &id, expected_version);
            let (contact, country) = ((to_patch(email), to_patch(phone)), context.app_state.config.shop.country);
            details::set_contact(&context.db, target, contact, country).await
        };
        CartPayload::from_result(updated.await)
    }
}
