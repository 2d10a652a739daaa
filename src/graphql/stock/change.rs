//! Stock as staff change it.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{Location, StockLevel, StockReason};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    graphql::{
        context::{Scope, scope},
        guard::Can,
        payload::payload,
    },
    identity::Permission,
    infra::{Claim, Makes, Once, Tx},
    inventory::{
        DEFAULT_LOCATION, row,
        row::Row,
        staff::{self, Place, Settings, Step},
    },
};

/// Units that came, went, or were never there.
#[derive(Debug, InputObject)]
pub struct StockAdjustInput {
    /// Of which variant.
    variant_id: ID,
    /// Where; the shop's own location when it is not said.
    location_id: Option<ID>,
    /// How many came; below zero, how many went.
    delta: i32,
    /// Why: `RECEIVED`, `DAMAGED`, `LOST`, `RETURNED` or `CORRECTION`.
    reason: StockReason,
    /// The same key and input change the stock once. Make a new UUID for each new change.
    idempotency_key: String,
}

/// What was counted.
#[derive(Debug, InputObject)]
pub struct StockSetInput {
    /// Of which variant.
    variant_id: ID,
    /// Where; the shop's own location when it is not said.
    location_id: Option<ID>,
    /// How many are on hand.
    quantity: i32,
    /// How many you believed there were: when it is another number by now, nothing is changed.
    expected_quantity: i32,
    /// The same key and input change the stock once. Make a new UUID for each new change.
    idempotency_key: String,
}

/// Units that change their place.
#[derive(Debug, InputObject)]
pub struct StockTransferInput {
    /// Of which variant.
    variant_id: ID,
    /// From where.
    from_location_id: ID,
    /// To where.
    to_location_id: ID,
    /// How many.
    quantity: i32,
    /// The same key and input move the stock once. Make a new UUID for each new move.
    idempotency_key: String,
}

/// How the stock of a variant is watched. What is left out stays as it is.
#[derive(Debug, InputObject)]
pub struct StockSettingsInput {
    /// Of which variant.
    variant_id: ID,
    /// Where; the shop's own location when it is not said.
    location_id: Option<ID>,
    /// Whether it is counted; what is not can always be bought.
    tracked: Option<bool>,
    /// Whether it may be ordered before it is there.
    backorder: Option<bool>,
    /// So few or fewer available at the location are low; null: nobody wants to be told.
    low_stock_threshold: MaybeUndefined<i32>,
}

/// A location that is to be made.
#[derive(Debug, InputObject)]
pub struct LocationCreateInput {
    /// At most 100 characters; no other location has the same.
    name: String,
}

payload!(
    /// What came of a change of stock.
    StockPayload {
        /// The stock at the location as it is now (where it came to, of a move); null when nothing was changed.
        level: StockLevel
    }
);

payload!(
    /// What came of adding a location.
    LocationPayload {
        /// The location; null when it was not added.
        location: Location
    }
);

/// The stock's part of the mutation root.
#[derive(Debug, Default)]
pub struct StockMutation;

#[Object]
impl StockMutation {
    /// Add to what is on hand, or take from it. What is promised to buyers cannot be taken.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn stock_adjust(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What has changed.")] input: StockAdjustInput,
    ) -> Result<StockPayload> {
        let once = once("stockAdjust", &input.idempotency_key, &input);
        let changed = async {
            let place = spot(&input.variant_id, input.location_id.as_ref())?;
            let why = match input.reason {
                StockReason::Opening | StockReason::Count | StockReason::Sold | StockReason::Transfer => {
                    let message = "this is for the shop to say; say RECEIVED, DAMAGED, LOST, RETURNED or CORRECTION";
                    return Err(Error::bad_input("input.reason", message));
                }
                reason => reason.stored(),
            };
            step(scope(ctx), once?, place, Step::Adjust { delta: input.delta.into(), why }).await
        };
        StockPayload::settle(changed.await)
    }

    /// Say how many are on hand after counting them, unless they have changed while you counted.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn stock_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What was counted.")] input: StockSetInput,
    ) -> Result<StockPayload> {
        let once = once("stockSet", &input.idempotency_key, &input);
        let changed = async {
            let place = spot(&input.variant_id, input.location_id.as_ref())?;
            let said = Step::Set { quantity: input.quantity.into(), expected: input.expected_quantity.into() };
            step(scope(ctx), once?, place, said).await
        };
        StockPayload::settle(changed.await)
    }

    /// Move units from one location to another.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn stock_transfer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What moves.")] input: StockTransferInput,
    ) -> Result<StockPayload> {
        let once = once("stockTransfer", &input.idempotency_key, &input);
        let changed = async {
            let from = GlobalId::key(&input.from_location_id, Kind::Location, "input.fromLocationId")?;
            let to = GlobalId::key(&input.to_location_id, Kind::Location, "input.toLocationId")?;
            let variant = GlobalId::key(&input.variant_id, Kind::Variant, "input.variantId")?;
            let place = Place { variant, location: Some(to) };
            step(scope(ctx), once?, place, Step::Transfer { from, quantity: input.quantity.into() }).await
        };
        StockPayload::settle(changed.await)
    }

    /// Say how the stock of a variant is watched: whether it is counted, may be ordered before it is there, and when it
    /// is low.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn stock_settings_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to be said.")] input: StockSettingsInput,
    ) -> Result<StockPayload> {
        let StockSettingsInput { variant_id, location_id, tracked, backorder, low_stock_threshold } = input;
        let changed = async {
            let place = spot(&variant_id, location_id.as_ref())?;
            let low_at = match low_stock_threshold {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(low) => Some(Some(i64::from(low))),
            };
            let said = Settings { tracked, backorder, low_at };
            scope(ctx).db.write_with_retry(|| async |tx| staff::settings(tx, place, said).await).await
        };
        StockPayload::settle(changed.await)
    }

    /// Add a location.
    #[graphql(guard = "Can(Permission::StockWrite)")]
    async fn location_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The location.")] input: LocationCreateInput,
    ) -> Result<LocationPayload> {
        let LocationCreateInput { name } = input;
        LocationPayload::settle(scope(ctx).db.write(async |tx| staff::location(tx, &name).await).await)
    }
}

/// A request that may come again, with all that it says.
///
/// # Errors
/// When its key cannot be one.
pub fn once(mutation: &'static str, key: &str, input: &impl async_graphql::InputType) -> Result<Once> {
    let said = input.to_value().into_json().map_err(|why| Error::fault("reading an input", why))?;
    Once::new(mutation, key, &said)
}

/// Changes stock once; when it was changed before by the same request, answers how it is now.
async fn step(scope: &Scope, once: Once, place: Place, step: Step) -> Result<Row> {
    scope
        .db
        .write_with_retry(|| {
            async |tx: &Tx| {
                if let Claim::First(_) = tx.claim(&once, Makes::Known(place.variant)).await? {
                    return staff::step(tx, place, step).await;
                }
                let location = place.location.unwrap_or(DEFAULT_LOCATION);
                let row = row::hold(tx, [place.variant]).await?.into_iter().find(|row| row.location_id == location);
                row.ok_or_else(|| Error::not_found("input.variantId", "variant"))
            }
        })
        .await
}

fn spot(variant: &ID, location: Option<&ID>) -> Result<Place> {
    let variant = GlobalId::key(variant, Kind::Variant, "input.variantId")?;
    let location = location.map(|id| GlobalId::key(id, Kind::Location, "input.locationId")).transpose()?;
    Ok(Place { variant, location })
}
