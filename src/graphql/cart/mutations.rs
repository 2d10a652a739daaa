//! Cart mutations: create, lines, clear and merge.

use async_graphql::{Context, ID, InputObject, Object};

use super::{
    Cart,
    attributes::{AttributeInput, parse_attributes},
};
use crate::{
    base::{GlobalId, Result, Validator, global_id::NodeType},
    cart::{
        self, CartTarget, LineRequest, LineUpdate, LockedCart,
        lines::{self, LineChange, LineEdits},
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

/// Variant, quantity and attributes of a line.
#[derive(Debug, InputObject)]
pub struct LineInput {
    /// ID of the variant.
    variant_id: ID,
    /// Quantity: 1 to 10000.
    #[graphql(default = 1)]
    quantity: i64,
    /// Attributes, at most 20; defaults to none.
    attributes: Option<Vec<AttributeInput>>,
}

/// Update of a cart line. Omitted fields are unchanged; the line takes over the current price.
#[derive(Debug, InputObject)]
pub struct CartLineUpdateInput {
    /// ID of the line.
    id: ID,
    /// New quantity: 1 to 10000.
    quantity: Option<i64>,
    /// New attributes, at most 20; they replace all of the line's.
    attributes: Option<Vec<AttributeInput>>,
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

/// Parses lines at a path of the input.
///
/// # Errors
/// Returns `BadUserInput` for an invalid ID, or all errors of the attributes.
pub fn parse_line_requests(lines: Vec<LineInput>, path: &str) -> Result<Vec<LineRequest>> {
    let mut validator = Validator::default();
    let mut requests = Vec::with_capacity(lines.len());
    for (index, LineInput { variant_id, quantity, attributes }) in lines.into_iter().enumerate() {
        let path = format!("{path}.{index}");
        let variant_id = GlobalId::decode_as(&variant_id, NodeType::Variant, &format!("{path}.variantId"))?;
        let attributes =
            parse_attributes(&mut validator, &format!("{path}.attributes"), attributes.unwrap_or_default());
        requests.push(LineRequest { variant_id, quantity, attributes });
    }
    validator.finish()?;
    Ok(requests)
}

fn parse_line_updates(lines: Vec<CartLineUpdateInput>) -> Result<Vec<LineUpdate>> {
    let mut validator = Validator::default();
    let mut updates = Vec::with_capacity(lines.len());
    for (index, CartLineUpdateInput { id, quantity, attributes }) in lines.into_iter().enumerate() {
        let line_id = GlobalId::decode_as(&id, NodeType::CartLine, &format!("lines.{index}.id"))?;
        let path = format!("lines.{index}.attributes");
        let attributes = attributes.map(|attributes| parse_attributes(&mut validator, &path, attributes));
        updates.push(LineUpdate { line_id, quantity, attributes });
    }
    validator.finish()?;
    Ok(updates)
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

    /// Adds quantities to a cart; all or none. Lines with the same variant and attributes are combined.
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
        let change = async {
            let requests = parse_line_requests(lines, "lines")?;
            let change = LineChange { edits: LineEdits::Add(&requests), path: "lines" };
            lines::change_lines(&context.db, target, change).await
        };
        change_cart(context, change).await
    }

    /// Sets quantities and attributes of cart lines at current prices; all or none. Lines that become equal are
    /// combined.
    #[graphql(guard = "Public")]
    async fn cart_lines_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "1 to 200 lines with what changes.")] lines: Vec<CartLineUpdateInput>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let updates = parse_line_updates(lines)?;
            let change = LineChange { edits: LineEdits::Update(&updates), path: "lines" };
            lines::change_lines(&context.db, target, change).await
        };
        change_cart(context, change).await
    }

    /// Removes lines from a cart; lines not in the cart are ignored.
    #[graphql(guard = "Public")]
    async fn cart_lines_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the cart.")] id: ID,
        #[graphql(desc = "IDs of the lines, at most 200.")] line_ids: Vec<ID>,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let parse_line_id =
                |(index, id): (usize, &ID)| GlobalId::decode_as(id, NodeType::CartLine, &format!("lineIds.{index}"));
            let line_keys = line_ids.iter().enumerate().map(parse_line_id).collect::<Result<Vec<_>>>()?;
            lines::remove_lines(&context.db, target, &line_keys).await
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
