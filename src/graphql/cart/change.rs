//! Carts begun, filled, emptied and brought together.

use async_graphql::{Context, ID, InputObject, Object};

use super::{
    super::{
        context::{Scope, scope},
        guard::{Anybody, SignedIn},
        payload::payload,
        throttle::limit_cart_changes,
    },
    Cart,
};
use crate::{
    base::{GlobalId, Result, id::Kind},
    cart::{
        self, Target,
        lines::{self, How, Wish},
    },
};

payload!(
    /// What came of a change of a cart.
    CartPayload {
        /// The cart as it is now; null when nothing was changed.
        cart: Cart
    }
);

/// So many of a variant.
#[derive(Debug, InputObject)]
pub struct CartLineInput {
    /// The variant's id.
    variant_id: ID,
    /// How many: from 1 to 10000.
    #[graphql(default = 1)]
    quantity: i64,
}

/// A cart that is to be begun.
#[derive(Debug, InputObject)]
pub struct CartCreateInput {
    /// What is to be in it; nothing yet when it is not said. At most 200.
    #[graphql(default)]
    lines: Vec<CartLineInput>,
}

/// Which cart is meant, by whoever asks.
pub(super) fn target<'a>(scope: &Scope, id: &'a ID, expected: Option<i32>) -> Target<'a> {
    Target { word: id, caller: scope.caller, expected }
}

fn wishes(lines: Vec<CartLineInput>, at: &str) -> Result<Vec<Wish>> {
    let wish = |(number, line): (usize, CartLineInput)| {
        let variant = GlobalId::key(&line.variant_id, Kind::Variant, &format!("{at}.{number}.variantId"))?;
        Ok(Wish { variant, quantity: line.quantity })
    };
    lines.into_iter().enumerate().map(wish).collect()
}

/// The part of carts and their lines in the mutation root.
#[derive(Debug, Default)]
pub struct CartLineMutation;

#[Object]
impl CartLineMutation {
    /// Begin a cart. A customer who has an open one goes on with that, and what is said here is added to it.
    #[graphql(guard = "Anybody")]
    async fn cart_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to be in it.")] input: Option<CartCreateInput>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let made = async {
            limit_cart_changes(scope).await?;
            let wishes = wishes(input.map(|input| input.lines).unwrap_or_default(), "input.lines")?;
            scope.db.write(async |tx| cart::begin(tx, scope.caller, &wishes).await).await
        };
        CartPayload::settle(made.await)
    }

    /// Put things into a cart; what is there already becomes more. All of them, or none.
    #[graphql(guard = "Anybody")]
    async fn cart_lines_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "What, and how many more: from 1 to 200 lines.")] lines: Vec<CartLineInput>,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        CartPayload::settle(change(scope(ctx), (&id, expected_version), lines, How::Add).await)
    }

    /// Say how many there are to be of what is in a cart, at today's price. All of it, or nothing.
    #[graphql(guard = "Anybody")]
    async fn cart_lines_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "What, and how many: from 1 to 200 lines.")] lines: Vec<CartLineInput>,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        CartPayload::settle(change(scope(ctx), (&id, expected_version), lines, How::Set).await)
    }

    /// Take variants out of a cart. One that is not in it is no mistake.
    #[graphql(guard = "Anybody")]
    async fn cart_lines_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "The variants' ids, at most 200.")] variant_ids: Vec<ID>,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let removed = async {
            limit_cart_changes(scope).await?;
            let key = |(number, id): (usize, &ID)| GlobalId::key(id, Kind::Variant, &format!("variantIds.{number}"));
            let keys = variant_ids.iter().enumerate().map(key).collect::<Result<Vec<_>>>()?;
            let target = target(scope, &id, expected_version);
            scope.db.write(async |tx| lines::remove(tx, target, &keys).await).await
        };
        CartPayload::settle(removed.await)
    }

    /// Take everything out of a cart. Addresses and what else was said stay.
    #[graphql(guard = "Anybody")]
    async fn cart_clear(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart's id.")] id: ID,
        #[graphql(desc = "The version you know; the change is refused when others were faster.")]
        expected_version: Option<i32>,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let cleared = async {
            limit_cart_changes(scope).await?;
            let target = target(scope, &id, expected_version);
            scope.db.write(async |tx| lines::clear(tx, target).await).await
        };
        CartPayload::settle(cleared.await)
    }

    /// Bring a guest's cart into one's own, after signing in: quantities are summed, no more than are left. Without an
    /// open cart of one's own it becomes that. Merging again merges nothing twice.
    #[graphql(guard = "SignedIn")]
    async fn cart_merge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The guest's cart's id.")] id: ID,
    ) -> Result<CartPayload> {
        let scope = scope(ctx);
        let account = scope.caller.account()?;
        limit_cart_changes(scope).await?;
        CartPayload::settle(scope.db.write(async |tx| cart::merge(tx, account, &id).await).await)
    }
}

async fn change(
    scope: &Scope,
    (id, expected): (&ID, Option<i32>),
    lines: Vec<CartLineInput>,
    how: How,
) -> Result<cart::Held> {
    limit_cart_changes(scope).await?;
    let wishes = wishes(lines, "lines")?;
    let target = target(scope, id, expected);
    scope.db.write(async |tx| lines::change(tx, target, &wishes, how).await).await
}
