//! Cart mutations: create, lines, clear and merge.

use async_graphql::{Context, ID, InputObject, Object};

use super::Cart;
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    cart::{
        self, CartTarget, LockedCart,
        lines::{self, LineChange, LineMode, LineRequest},
    },
    graphql::{
        context::{RequestContext, request_context},
        guard::{Public, RequireLogin},
        payload::payload,
    },
};

payload!(
    /// Payload of the cart mutations.
    CartPayload {
        /// Cart after the change; null if nothing was changed.
        cart: Cart
    }
);

/// Variant and quantity of a cart line.
#[derive(Debug, InputObject)]
pub struct LineInput {
    /// ID of the variant.
    pub variant_id: ID,
    /// Quantity: 1 to 10000.
    #[graphql(default = 1)]
    pub quantity: i64,
}

/// Input of `cartCreate`.
#[derive(Debug, InputObject)]
pub struct CartCreateInput {
    /// Lines to add, at most 200; defaults to none.
    #[graphql(default)]
    lines: Vec<LineInput>,
}

/// Returns the target cart of a mutation, with the caller's access.
pub(super) fn build_cart_target<'a>(
    context: &RequestContext,
    id: &'a ID,
    expected_version: Option<i32>,
) -> CartTarget<'a> {
    CartTarget { id, scope: context.caller, expected_version }
}

/// Counts a change of a cart toward the caller's limit, and carries it out.
pub(super) async fn change_cart(
    context: &RequestContext,
    change: impl Future<Output = Result<LockedCart>>,
) -> Result<Option<CartPayload>> {
    let changed = async {
        cart::limit_cart_changes(&context.throttle(), context.caller).await?;
        change.await
    };
    CartPayload::from_result(changed.await)
}

fn parse_line_requests(lines: Vec<LineInput>, path: &str) -> Result<Vec<LineRequest>> {
    let parse_request = |(index, line): (usize, LineInput)| {
        let variant_id =
            GlobalId::decode_as(&line.variant_id, NodeType::Variant, &format!("{path}.{index}.variantId"))?;
        Ok(LineRequest { variant_id, quantity: line.quantity })
    };
    lines.into_iter().enumerate().map(parse_request).collect()
}

/// Cart line fields of the mutation root.
#[derive(Debug, Default)]
pub struct CartLineMutation;

#[Object]
impl CartLineMutation {
    /// Creates a cart, or returns the caller's open cart with the given lines added.
    #[graphql(guard = "Public")]
    async fn cart_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Lines of the cart.")] input: Option<CartCreateInput>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let change = async {
            let requests = parse_line_requests(input.map(|input| input.lines).unwrap_or_default(), "input.lines")?;
            cart::create_cart(&context.db, context.caller, &requests).await
        };
        change_cart(context, change).await
    }

    /// Adds quantities to a cart; all or none.
    #[graphql(guard = "Public")]
    async fn cart_lines_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "1 to 200 lines with the quantities to add.")] lines: Vec<LineInput>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        change_cart(context, change_lines(context, target, lines, LineMode::Add)).await
    }

    /// Sets quantities of cart lines at current prices; all or none.
    #[graphql(guard = "Public")]
    async fn cart_lines_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "1 to 200 lines with their new quantities.")] lines: Vec<LineInput>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        change_cart(context, change_lines(context, target, lines, LineMode::Set)).await
    }

    /// Removes variants from a cart; variants not in the cart are ignored.
    #[graphql(guard = "Public")]
    async fn cart_lines_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "IDs of the variants, at most 200.")] variant_ids: Vec<ID>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let parse_variant_id =
                |(index, id): (usize, &ID)| GlobalId::decode_as(id, NodeType::Variant, &format!("variantIds.{index}"));
            let variant_keys = variant_ids.iter().enumerate().map(parse_variant_id).collect::<Result<Vec<_>>>()?;
            lines::remove_lines(&context.db, target, &variant_keys).await
        };
        change_cart(context, change).await
    }

    /// Removes all lines of a cart; keeps addresses, contact, note and shipping method.
    #[graphql(guard = "Public")]
    async fn cart_clear(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        change_cart(context, lines::clear_lines(&context.db, target)).await
    }

    /// Merges a guest cart into the caller's cart; quantities are added up to available stock. Without an open cart the
    /// guest cart becomes the caller's. Idempotent.
    #[graphql(guard = "RequireLogin")]
    async fn cart_merge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the guest cart.")] id: ID,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let account_id = context.caller.require_account_id()?;
        change_cart(context, cart::merge_guest_cart(&context.db, account_id, &id)).await
    }
}

async fn change_lines(
    context: &RequestContext,
    target: CartTarget<'_>,
    lines: Vec<LineInput>,
    mode: LineMode,
) -> Result<LockedCart> {
    let requests = parse_line_requests(lines, "lines")?;
    lines::change_lines(&context.db, target, LineChange { requests: &requests, mode, path: "lines" }).await
}
