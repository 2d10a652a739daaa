//! Stock mutations of staff.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::stock::{Location, StockLevel, StockReason};
use crate::{
    base::{Error, GlobalId, Patch, Result, global_id::NodeType},
    customer::AddressPatch,
    graphql::{
        context::request_context,
        customer::postal_address::PostalAddressInput,
        guard::RequirePermission,
        idempotency::parse_idempotency_key,
        input::{parse_optional_id, parse_target, to_patch},
        payload::payload,
    },
    identity::Permission,
    inventory::{
        DEFAULT_LOCATION_ID,
        adjustments::{self, StockOperation, StockSettings},
        location::{self, LocationPatch},
        stock_level::StockKey,
    },
};

/// Input of `stockAdjust`.
#[derive(Debug, InputObject)]
pub struct StockAdjustInput {
    /// ID of the variant.
    variant_id: ID,
    /// ID of the location; defaults to the shop's default location.
    location_id: Option<ID>,
    /// Change of the on-hand quantity; negative to reduce it.
    delta: i32,
    /// Reason: `RECEIVED`, `DAMAGED`, `LOST`, `RETURNED` or `CORRECTION`.
    reason: StockReason,
    /// Idempotency key: repeated requests with the same key and input change the stock once. Use a new UUID for each
    /// change.
    idempotency_key: String,
}

/// Input of `stockSet`.
#[derive(Debug, InputObject)]
pub struct StockSetInput {
    /// ID of the variant.
    variant_id: ID,
    /// ID of the location; defaults to the shop's default location.
    location_id: Option<ID>,
    /// Counted on-hand quantity.
    quantity: i32,
    /// Expected on-hand quantity; a mismatch rejects the change.
    expected_quantity: i32,
    /// Idempotency key: repeated requests with the same key and input change the stock once. Use a new UUID for each
    /// change.
    idempotency_key: String,
}

/// Input of `stockTransfer`.
#[derive(Debug, InputObject)]
pub struct StockTransferInput {
    /// ID of the variant.
    variant_id: ID,
    /// ID of the source location.
    from_location_id: ID,
    /// ID of the target location.
    to_location_id: ID,
    /// Quantity to move.
    quantity: i32,
    /// Idempotency key: repeated requests with the same key and input move the stock once. Use a new UUID for each
    /// transfer.
    idempotency_key: String,
}

/// Stock settings of a variant. Omitted fields are unchanged.
#[derive(Debug, InputObject)]
pub struct StockSettingsInput {
    /// ID of the variant.
    variant_id: ID,
    /// ID of the location; defaults to the shop's default location.
    location_id: Option<ID>,
    /// Whether stock is tracked; untracked variants can always be bought.
    tracked: Option<bool>,
    /// Whether backorders are allowed: orders beyond available stock.
    allow_backorder: Option<bool>,
    /// Available quantity at or below which stock is low; null disables low-stock alerts.
    low_stock_threshold: MaybeUndefined<i32>,
}

/// Input of `locationCreate`.
#[derive(Debug, InputObject)]
pub struct LocationCreateInput {
    /// Location name, at most 100 characters, unique across locations.
    name: String,
    /// Postal address.
    address: Option<PostalAddressInput>,
}

/// Fields of a location to update. Omitted fields are unchanged; null clears a field.
#[derive(Debug, InputObject)]
pub struct LocationUpdateInput {
    /// Location name, at most 100 characters, unique across locations.
    name: MaybeUndefined<String>,
    /// Postal address; it replaces the whole address.
    address: MaybeUndefined<PostalAddressInput>,
}

payload!(
    /// Payload of the stock mutations.
    StockPayload {
        /// Stock level at the location after the change (the target location of a transfer); null if nothing was
        /// changed.
        level: StockLevel
    }
);

payload!(
    /// Payload of the location mutations.
    LocationPayload {
        /// Location after the mutation; null if nothing was changed.
        location: Location
    }
);

/// Stock fields of the mutation root.
#[derive(Debug, Default)]
pub struct StockMutation;

#[Object]
impl StockMutation {
    /// Changes on-hand stock by a delta; reserved stock cannot be removed.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_adjust(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Change of the stock.")] input: StockAdjustInput,
    ) -> Result<Option<StockPayload>> {
        let idempotency_key = parse_idempotency_key("stockAdjust", &input.idempotency_key, &input);
        let result = async {
            let stock_key = parse_stock_key(&input.variant_id, input.location_id)?;
            let reason = match input.reason {
                StockReason::Opening | StockReason::Count | StockReason::Sold | StockReason::Transfer => {
                    let message =
                        "this reason is set by the shop itself; use RECEIVED, DAMAGED, LOST, RETURNED or CORRECTION";
                    return Err(Error::bad_input("input.reason", message));
                }
                reason => reason.into(),
            };
            adjustments::apply_stock_operation(
                &request_context(ctx).db,
                &idempotency_key?,
                stock_key,
                StockOperation::Adjust { delta: input.delta.into(), reason },
            )
            .await
        };
        StockPayload::from_result(result.await)
    }

    /// Sets on-hand stock to a counted value if it still equals `expectedQuantity`.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Counted stock.")] input: StockSetInput,
    ) -> Result<Option<StockPayload>> {
        let idempotency_key = parse_idempotency_key("stockSet", &input.idempotency_key, &input);
        let result = async {
            let stock_key = parse_stock_key(&input.variant_id, input.location_id)?;
            let operation =
                StockOperation::Set { quantity: input.quantity.into(), expected: input.expected_quantity.into() };
            adjustments::apply_stock_operation(&request_context(ctx).db, &idempotency_key?, stock_key, operation).await
        };
        StockPayload::from_result(result.await)
    }

    /// Moves stock between locations.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_transfer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Stock to move.")] input: StockTransferInput,
    ) -> Result<Option<StockPayload>> {
        let idempotency_key = parse_idempotency_key("stockTransfer", &input.idempotency_key, &input);
        let result = async {
            let from_location_id =
                GlobalId::decode_as(&input.from_location_id, NodeType::Location, "input.fromLocationId")?;
            let to_location_id = GlobalId::decode_as(&input.to_location_id, NodeType::Location, "input.toLocationId")?;
            let variant_id = GlobalId::decode_as(&input.variant_id, NodeType::Variant, "input.variantId")?;
            let stock_key = StockKey { variant_id, location_id: to_location_id };
            adjustments::apply_stock_operation(
                &request_context(ctx).db,
                &idempotency_key?,
                stock_key,
                StockOperation::Transfer { from_location_id, quantity: input.quantity.into() },
            )
            .await
        };
        StockPayload::from_result(result.await)
    }

    /// Sets tracking, backorder and low-stock threshold of a variant.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn stock_settings_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Stock settings.")] input: StockSettingsInput,
    ) -> Result<Option<StockPayload>> {
        let StockSettingsInput { variant_id, location_id, tracked, allow_backorder, low_stock_threshold } = input;
        let result = async {
            let stock_key = parse_stock_key(&variant_id, location_id)?;
            let threshold_update = match low_stock_threshold {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(threshold) => Some(Some(i64::from(threshold))),
            };
            let settings = StockSettings { tracked, allow_backorder, low_stock_threshold: threshold_update };
            adjustments::update_stock_settings(&request_context(ctx).db, stock_key, settings).await
        };
        StockPayload::from_result(result.await)
    }

    /// Creates a stock location.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn location_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Location to create.")] input: LocationCreateInput,
    ) -> Result<Option<LocationPayload>> {
        let context = request_context(ctx);
        let LocationCreateInput { name, address } = input;
        let address = Patch::from_provided(address.map(Into::into));
        let patch = LocationPatch { name: Patch::Set(name), address };
        let country = context.app_state.config.shop.country;
        LocationPayload::from_result(location::create_location(&context.db, patch, country).await)
    }

    /// Updates a stock location.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn location_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the location.")] id: ID,
        #[graphql(desc = "Fields to update.")] input: LocationUpdateInput,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<LocationPayload>> {
        let context = request_context(ctx);
        let updated = async {
            let target = parse_target(&id, NodeType::Location, (), expected_version)?;
            let LocationUpdateInput { name, address } = input;
            let patch = LocationPatch { name: to_patch(name), address: to_patch(address).map(AddressPatch::from) };
            location::update_location(&context.db, target, patch, context.app_state.config.shop.country).await
        };
        LocationPayload::from_result(updated.await)
    }

    /// Deactivates a stock location without stock. The default location cannot be deactivated.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn location_deactivate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the location.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<LocationPayload>> {
        let changed = async {
            let target = parse_target(&id, NodeType::Location, (), expected_version)?;
            location::set_location_active(&request_context(ctx).db, target, false).await
        };
        LocationPayload::from_result(changed.await)
    }

    /// Activates a stock location.
    #[graphql(guard = "RequirePermission(Permission::StockWrite)")]
    async fn location_activate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the location.")] id: ID,
        #[graphql(desc = "Expected current version (optimistic locking); a mismatch returns `VERSION_CONFLICT`.")]
        expected_version: Option<i32>,
    ) -> Result<Option<LocationPayload>> {
        let changed = async {
            let target = parse_target(&id, NodeType::Location, (), expected_version)?;
            location::set_location_active(&request_context(ctx).db, target, true).await
        };
        LocationPayload::from_result(changed.await)
    }
}

fn parse_stock_key(variant_id: &ID, location_id: Option<ID>) -> Result<StockKey> {
    let variant_id = GlobalId::decode_as(variant_id, NodeType::Variant, "input.variantId")?;
    let location_id = parse_optional_id(location_id, NodeType::Location, "input.locationId")?;
    Ok(StockKey { variant_id, location_id: location_id.unwrap_or(DEFAULT_LOCATION_ID) })
}
