//! Mutations of cart details: addresses, contact, note and shipping method.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::mutations::{CartPayload, build_cart_target, change_cart};
use crate::{
    base::{Result, global_id::NodeType},
    cart::details::{self, CartAddresses, CartContact},
    graphql::{
        context::request_context,
        customer::postal_address::{AddressChoiceInput, parse_address_patch},
        guard::Public,
        input::{parse_optional_id, to_patch},
    },
    pricing::ShopContext,
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
    async fn cart_address_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Shipping and billing address.")] input: CartAddressInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let country = context.app_state.config.shop.country;
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let CartAddressInput { shipping, billing } = input;
            let shipping = parse_address_patch(shipping, "input.shipping")?;
            let addresses = CartAddresses { shipping, billing: parse_address_patch(billing, "input.billing")? };
            details::set_addresses(&context.db, target, addresses, country).await
        };
        change_cart(context, change).await
    }

    /// Selects one of the cart's `availableShippingMethods`.
    #[graphql(guard = "Public")]
    async fn cart_shipping_method_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "ID of the shipping method; null clears the selection.")] shipping_method_id: Option<ID>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let category_tree = context.category_tree();
        let shop = ShopContext { category_tree: &category_tree, country: context.app_state.config.shop.country };
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let method_id = parse_optional_id(shipping_method_id, NodeType::ShippingMethod, "shippingMethodId")?;
            details::set_shipping_method(&context.db, target, method_id, shop).await
        };
        change_cart(context, change).await
    }

    /// Sets the note for the packer.
    #[graphql(guard = "Public")]
    async fn cart_note_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Note, at most 1000 characters; null clears it.")] note: Option<String>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        change_cart(context, details::set_note(&context.db, target, note.as_deref())).await
    }

    /// Sets the email or phone of the buyer; an order needs one of them.
    #[graphql(guard = "Public")]
    async fn cart_contact_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Contact details.")] input: CartContactInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let country = context.app_state.config.shop.country;
        let CartContactInput { email, phone } = input;
        let contact = CartContact { email: to_patch(email), phone: to_patch(phone) };
        let target = build_cart_target(context, &id, expected_version);
        change_cart(context, details::set_contact(&context.db, target, contact, country)).await
    }
}
