//! Cart mutations: create, lines, clear and merge.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::{
    Cart,
    attributes::{AttributeInput, parse_attributes},
    warning::CartWarning,
};
use crate::{
    base::{GlobalId, Patch, Result, Validator, global_id::NodeType},
    cart::{
        self, AddMode, CartTarget, LineRequest, LineUpdate, LockedCart, NewCart, NewCartDetails,
        details::{CartAddresses, CartContact},
        lines::{self, LineChange, LineEdits},
    },
    graphql::{
        context::{RequestContext, request_context},
        customer::postal_address::AddressChoiceInput,
        guard::{Public, RequireLogin},
        input::parse_optional_id,
        payload::{UserError, split_user_errors},
    },
    pricing::ShopContext,
};

/// Payload of the cart mutations.
#[derive(Debug, SimpleObject)]
pub struct CartPayload {
    /// Cart after the change; null if nothing was changed.
    cart: Option<Cart>,
    /// Adjustments that the caller allowed; empty if everything was done as requested.
    warnings: Vec<CartWarning>,
    /// Errors that the caller can correct; empty on success.
    user_errors: Vec<UserError>,
}

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

/// Input of `cartCreate`. Details that are omitted are those of the caller's open cart, if there is one.
#[derive(Debug, Default, InputObject)]
pub struct CartCreateInput {
    /// Lines to add, at most 200; defaults to none.
    #[graphql(default)]
    lines: Vec<LineInput>,
    /// Whether quantities that exceed the available stock are reduced to it, with a warning, instead of being errors.
    #[graphql(default)]
    adjust: bool,
    /// Email address for order notifications.
    email: Option<String>,
    /// Phone number (E.164, or in national format of the shipping country).
    phone: Option<String>,
    /// Shipping address.
    shipping_address: Option<AddressChoiceInput>,
    /// Billing address; defaults to the shipping address.
    billing_address: Option<AddressChoiceInput>,
    /// ID of the shipping method.
    shipping_method_id: Option<ID>,
    /// Note for the packer, at most 1000 characters.
    note: Option<String>,
}

impl CartCreateInput {
    fn into_new_cart(self) -> Result<NewCart> {
        let Self { lines, adjust, email, phone, shipping_address, billing_address, shipping_method_id, note } = self;
        let parse_address = |choice: Option<AddressChoiceInput>, path| {
            choice.map(|choice| choice.into_address_input(path)).transpose().map(Patch::from_provided)
        };
        let details = NewCartDetails {
            addresses: CartAddresses {
                shipping: parse_address(shipping_address, "input.shippingAddress")?,
                billing: parse_address(billing_address, "input.billingAddress")?,
            },
            contact: CartContact { email: Patch::from_provided(email), phone: Patch::from_option(phone) },
            note,
            shipping_method_id: parse_optional_id(
                shipping_method_id,
                NodeType::ShippingMethod,
                "input.shippingMethodId",
            )?,
        };
        Ok(NewCart { lines: parse_line_requests(lines, "input.lines")?, mode: to_add_mode(adjust), details })
    }
}

fn to_add_mode(adjust: bool) -> AddMode {
    if adjust { AddMode::Adjust } else { AddMode::Strict }
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
    let (locked, user_errors) = split_user_errors(changed.await)?;
    let adjustments = locked.iter().flat_map(|locked| locked.adjustments.iter().cloned());
    let warnings = adjustments.map(CartWarning::from_adjustment).collect();
    Ok(Some(CartPayload { cart: locked.map(Cart::from), warnings, user_errors }))
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
    /// Creates a cart, or sets the given lines and details on the caller's open cart.
    #[graphql(guard = "Public")]
    async fn cart_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Lines and details of the cart.")] input: Option<CartCreateInput>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let category_tree = context.category_tree();
        let shop = ShopContext { category_tree: &category_tree, country: context.app_state.config.shop.country };
        let change = async {
            let new_cart = input.unwrap_or_default().into_new_cart()?;
            cart::create_cart(&context.db, context.caller, new_cart, shop).await
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
        #[graphql(
            default,
            desc = "Whether quantities that exceed the available stock are reduced to it, with a warning, instead of being errors."
        )]
        adjust: bool,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<CartPayload>> {
        let context = request_context(ctx);
        let target = build_cart_target(context, &id, expected_version);
        let change = async {
            let requests = parse_line_requests(lines, "lines")?;
            let change = LineChange { edits: LineEdits::Add(&requests, to_add_mode(adjust)), path: "lines" };
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
