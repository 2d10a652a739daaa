//! Buying.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use super::{
    super::{
        context::{Scope, scope},
        guard::Anybody,
        message::Language,
        payload::{UserError, settle},
        postal::AddressChoiceInput,
        stock::change::once,
        throttle::{OrderContacts, limit_orders},
    },
    Order,
    list::amount,
    loader::PaymentsOf,
    money::Payment,
};
use crate::{
    base::{
        Error, GlobalId, Result,
        error::{Code, Problem},
        id::Kind,
    },
    checkout::{self, Basket, Bought, Purchase, Till},
    infra::Once,
    order::Status,
    payment::PaymentState,
};

/// What is said of an order, whatever is in it.
#[derive(Debug, InputObject)]
pub struct PurchaseInput {
    /// Where mail about the order goes.
    email: Option<String>,
    /// Where short messages go: a number with its country's code, or as it is dialled where the goods go.
    phone: Option<String>,
    /// Where the goods go.
    shipping_address: Option<AddressChoiceInput>,
    /// Where the bill goes; where the goods go when nothing is said.
    billing_address: Option<AddressChoiceInput>,
    /// How the goods go there; where there is only one way, that.
    shipping_method_id: Option<ID>,
    /// How it is paid: `manual` is at the door, or as agreed.
    #[graphql(default = "manual")]
    payment_method: String,
    /// What whoever packs it should know. At most 1000 characters.
    note: Option<String>,
    /// In which language you are written to; your own, or the shop's, when it is not said.
    language: Option<Language>,
}

/// A cart that is to be ordered. What is not said here is taken from the cart, and then from the customer's account.
#[derive(Debug, InputObject)]
pub struct CheckoutCompleteInput {
    /// The cart's id.
    cart_id: ID,
    /// The same key and input make one order, however often they are sent. Make a new UUID for each new order.
    idempotency_key: String,
    /// The total you have shown: when it is another by now, nothing is ordered.
    expected_total: Decimal,
    #[graphql(flatten)]
    said: PurchaseInput,
}

/// So many of a variant.
#[derive(Debug, InputObject)]
pub struct OrderItemInput {
    /// The variant's id.
    variant_id: ID,
    /// How many: from 1 to 10000.
    #[graphql(default = 1)]
    quantity: i64,
}

/// An order for clients that keep a cart of their own. What is not said is taken from the customer's account.
#[derive(Debug, InputObject)]
pub struct OrderCreateInput {
    /// What is bought: 1 to 200 variants. One that is named twice is one line.
    items: Vec<OrderItemInput>,
    /// The same key and input make one order, however often they are sent. Make a new UUID for each new order.
    idempotency_key: String,
    /// The total you have shown, if you know it: when it is another by now, nothing is ordered.
    expected_total: Option<Decimal>,
    #[graphql(flatten)]
    said: PurchaseInput,
}

/// What came of buying.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct CheckoutPayload {
    /// The order; null when none was made. One whose payment was refused has ended.
    order: Option<Order>,
    /// What the caller can put right; empty when all went well.
    user_errors: Vec<UserError>,
}

impl CheckoutPayload {
    async fn of(scope: &Scope, bought: Result<Bought>) -> Result<Self> {
        let (bought, mut user_errors) = settle(bought)?;
        let Some(Bought { order, placed, refused }) = bought else {
            return Ok(Self { order: None, user_errors });
        };
        let order = match placed {
            Some(placed) => Order::with_token(placed),
            None => Order::own(scope, order).await?,
        };
        if let Some(message) = Self::refused(scope, &order, refused).await? {
            let field = vec!["input".into(), "paymentMethod".into()];
            user_errors.push(Problem { code: Code::PaymentFailed, field, message }.into());
        }
        Ok(Self { order: Some(order), user_errors })
    }

    /// Why the payment was refused. Whoever sends the same request again is told the same; an order that goes on is not
    /// asked about.
    async fn refused(scope: &Scope, order: &Order, refused: Option<String>) -> Result<Option<String>> {
        if refused.is_some() || order.row.status != Status::Cancelled {
            return Ok(refused);
        }
        let payments = scope.load(PaymentsOf(order.row.id)).await?.unwrap_or_default();
        let last = payments.last().filter(|payment| payment.status == PaymentState::Failed);
        Ok(last.and_then(|payment| payment.error.clone()))
    }
}

#[ComplexObject]
impl CheckoutPayload {
    /// Its payment; null when no order was made. One statement.
    async fn payment(&self, ctx: &Context<'_>) -> Result<Option<Payment>> {
        let Some(order) = &self.order else { return Ok(None) };
        let payments = scope(ctx).load(PaymentsOf(order.row.id)).await?;
        Ok(payments.and_then(|list| list.last().cloned()).map(Payment))
    }
}

/// The part of buying in the mutation root.
#[derive(Debug, Default)]
pub struct CheckoutMutation;

#[Object]
impl CheckoutMutation {
    /// Order what is in a cart: all of it, or nothing. The goods are promised to you from then on.
    #[graphql(guard = "Anybody")]
    async fn checkout_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cart, and what is to be said of the order.")] input: CheckoutCompleteInput,
    ) -> Result<CheckoutPayload> {
        let scope = scope(ctx);
        let once = once("checkoutComplete", &input.idempotency_key, &input);
        let bought = async {
            let CheckoutCompleteInput { cart_id, idempotency_key: _, expected_total, said } = input;
            limit_orders(scope, said.contacts(Some(&cart_id))).await?;
            let expected = amount(scope, Some(expected_total), "input.expectedTotal")?;
            let once = once?.for_guest(&cart_id);
            buy(scope, said.read(once, Basket::Cart(cart_id.to_string()), expected)?).await
        };
        CheckoutPayload::of(scope, bought.await).await
    }

    /// Order variants without a cart: all of them, or nothing.
    #[graphql(guard = "Anybody")]
    async fn order_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is bought, and what is to be said of the order.")] input: OrderCreateInput,
    ) -> Result<CheckoutPayload> {
        let scope = scope(ctx);
        let once = once("orderCreate", &input.idempotency_key, &input);
        let bought = async {
            let OrderCreateInput { items, idempotency_key: _, expected_total, said } = input;
            limit_orders(scope, said.contacts(None)).await?;
            let item = |(at, item): (usize, OrderItemInput)| {
                let variant = GlobalId::key(&item.variant_id, Kind::Variant, &format!("input.items.{at}.variantId"))?;
                Ok::<_, Error>((variant, item.quantity))
            };
            let items = items.into_iter().enumerate().map(item).collect::<Result<_>>()?;
            let expected = amount(scope, expected_total, "input.expectedTotal")?;
            let contact = [said.email.as_deref(), said.phone.as_deref()].map(Option::unwrap_or_default);
            let once = once?.for_guest(&contact.join(" ").to_lowercase());
            buy(scope, said.read(once, Basket::Items(items), expected)?).await
        };
        CheckoutPayload::of(scope, bought.await).await
    }
}

impl PurchaseInput {
    fn contacts<'a>(&'a self, cart: Option<&'a ID>) -> OrderContacts<'a> {
        let shipping_phone = self.shipping_address.as_ref().and_then(AddressChoiceInput::phone);
        let (email, phone) = (self.email.as_deref(), self.phone.as_deref());
        OrderContacts { email, phone, shipping_phone, cart: cart.map(|id| id.as_str()) }
    }

    fn read(self, once: Once, basket: Basket, expected: Option<i64>) -> Result<Purchase> {
        let Self {
            email,
            phone,
            shipping_address,
            billing_address,
            shipping_method_id,
            payment_method,
            note,
            language,
        } = self;
        let shipping = shipping_address.map(|choice| choice.read("input.shippingAddress")).transpose()?;
        let billing = billing_address.map(|choice| choice.read("input.billingAddress")).transpose()?;
        let way = |id: ID| GlobalId::key(&id, Kind::ShippingMethod, "input.shippingMethodId");
        let method = shipping_method_id.map(way).transpose()?;
        let provider = payment_method.to_lowercase();
        Ok(Purchase {
            once,
            basket,
            expected,
            email,
            phone,
            shipping,
            billing,
            method,
            note,
            language: language.map(Into::into),
            provider,
        })
    }
}

async fn buy(scope: &Scope, purchase: Purchase) -> Result<Bought> {
    let (config, tree) = (&scope.shared.config, scope.tree());
    let till = Till {
        db: &scope.db,
        providers: &scope.shared.providers,
        tree: &tree,
        caller: scope.caller,
        currency: config.shop.currency,
        country: config.shop.country,
        language: config.shop.language,
        config: &config.checkout,
    };
    checkout::buy(&till, purchase).await
}
