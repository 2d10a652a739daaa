//! Checkout mutations.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use super::{Order, checkout_attempt::CheckoutAttempt};
use crate::{
    base::{GlobalId, LanguageCode, Result, global_id::NodeType},
    cart::cart_row,
    graphql::{
        cart::{
            CART_COST, Cart,
            mutations::{LineInput, parse_line_requests},
        },
        context::{RequestContext, request_context},
        customer::postal_address::AddressChoiceInput,
        guard::Public,
        idempotency::parse_idempotency_key,
        input::{parse_amount, parse_optional_id},
        payload::{UserError, split_user_errors},
        row_loader::RowKey,
        scalars::LanguageScalar,
    },
    infra::IdempotencyKey,
    sales::{
        self, BuyerDetails, CheckoutRequest, CheckoutResult, OrderAccess, OrderContacts, OrderSource, PayOrderRequest,
    },
};

/// Details of an order, independent of its lines.
#[derive(Debug, InputObject)]
pub struct CheckoutDetailsInput {
    /// Email address for order notifications.
    email: Option<String>,
    /// Phone number for SMS notifications (E.164, or in national format of the shipping country).
    phone: Option<String>,
    /// Shipping address.
    shipping_address: Option<AddressChoiceInput>,
    /// Billing address; defaults to the shipping address.
    billing_address: Option<AddressChoiceInput>,
    /// ID of the shipping method. Optional if only one method is available.
    shipping_method_id: Option<ID>,
    /// ID of the payment method: one of `shop.paymentMethods`.
    payment_method_id: ID,
    /// Phone number of the payer, for mobile money; defaults to the order's phone number.
    payer_phone: Option<String>,
    /// Note for the packer, at most 1000 characters.
    note: Option<String>,
    /// Language of the notifications; defaults to the customer's language, then to the shop's.
    language: Option<LanguageScalar>,
}

/// Input of `checkoutComplete`. Omitted details are taken from the cart, then from the customer's account.
#[derive(Debug, InputObject)]
pub struct CheckoutCompleteInput {
    /// ID of the cart.
    cart_id: ID,
    /// Idempotency key: repeated requests with the same key and input create one order. Use a new UUID for each order.
    idempotency_key: String,
    /// Expected total; a mismatch returns `PRICE_CHANGED` and no order is placed.
    expected_total: Decimal,
    #[graphql(flatten)]
    details: CheckoutDetailsInput,
}

/// Input of `orderCreate`, for clients that keep their own cart. Omitted details are taken from the customer's account.
#[derive(Debug, InputObject)]
pub struct OrderCreateInput {
    /// 1 to 200 lines. Lines with the same variant and attributes are combined into one.
    lines: Vec<LineInput>,
    /// Idempotency key: repeated requests with the same key and input create one order. Use a new UUID for each order.
    idempotency_key: String,
    /// Expected total; a mismatch returns `PRICE_CHANGED` and no order is placed.
    expected_total: Option<Decimal>,
    #[graphql(flatten)]
    details: CheckoutDetailsInput,
}

/// Input of `orderPay`.
#[derive(Debug, InputObject)]
pub struct OrderPayInput {
    /// ID of the payment method: one of `shop.paymentMethods`.
    payment_method_id: ID,
    /// Phone number of the payer, for mobile money; defaults to the order's phone number.
    payer_phone: Option<String>,
    /// Guest access token of the order. Checked before the caller's login.
    token: Option<String>,
    /// Idempotency key: repeated requests with the same key and input create one payment. Use a new UUID for each
    /// payment.
    idempotency_key: String,
}

/// Payload of the checkout mutations.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct CheckoutPayload {
    /// Order; null if none was created.
    order: Option<Order>,
    /// User errors; empty on success. A declined payment is not a user error: see `attempt`.
    user_errors: Vec<UserError>,
}

impl CheckoutPayload {
    async fn from_result(context: &RequestContext, result: Result<CheckoutResult>) -> Result<Option<Self>> {
        let (result, user_errors) = split_user_errors(result)?;
        let order = match result {
            None => None,
            Some(CheckoutResult { placed_order: Some(placed_order), .. }) => Some(Order::with_token(placed_order)),
            Some(CheckoutResult { order_id, placed_order: None }) => Some(Order::load_own(context, order_id).await?),
        };
        Ok(Some(Self { order, user_errors }))
    }
}

#[ComplexObject]
impl CheckoutPayload {
    /// Outcome of the payment: what the client does next; null if no order was created.
    async fn attempt(&self, ctx: &Context<'_>) -> Result<Option<CheckoutAttempt>> {
        match &self.order {
            Some(order) => CheckoutAttempt::load(request_context(ctx), order.clone()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Ordered cart, whose status is `ORDERED`; null if no order was created or it was not placed from a cart.
    #[graphql(complexity = "CART_COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>) -> Result<Option<Cart>> {
        let Some(cart_id) = self.order.as_ref().and_then(|order| order.row.cart_id) else { return Ok(None) };
        Ok(request_context(ctx).load(RowKey::<cart_row::Entity>::new(cart_id)).await?.map(Cart::from))
    }
}

/// Checkout fields of the mutation root.
#[derive(Debug, Default)]
pub struct CheckoutMutation;

#[Object]
impl CheckoutMutation {
    /// Places an order from a cart. Reserves stock; all lines or none. Idempotent by `idempotencyKey`.
    #[graphql(guard = "Public")]
    async fn checkout_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Cart and order details.")] input: CheckoutCompleteInput,
    ) -> Result<Option<CheckoutPayload>> {
        let context = request_context(ctx);
        let idempotency_key = parse_idempotency_key("checkoutComplete", &input.idempotency_key, &input);
        let result = async {
            let CheckoutCompleteInput { cart_id, idempotency_key: _, expected_total, details } = input;
            context.start_checkout()?;
            sales::limit_orders(&context.sales(), details.order_contacts(Some(&cart_id))).await?;
            let expected_minor_total = parse_amount(context, Some(expected_total), "input.expectedTotal")?;
            let idempotency_key = idempotency_key?.for_guest(&cart_id);
            let source = OrderSource::Cart(cart_id.to_string());
            let request = details.into_checkout_request(idempotency_key, source, expected_minor_total)?;
            sales::complete_checkout(&context.sales(), request).await
        };
        CheckoutPayload::from_result(context, result.await).await
    }

    /// Places an order from the given lines. Reserves stock; all lines or none. Idempotent by `idempotencyKey`.
    #[graphql(guard = "Public")]
    async fn order_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Items and order details.")] input: OrderCreateInput,
    ) -> Result<Option<CheckoutPayload>> {
        let context = request_context(ctx);
        let idempotency_key = parse_idempotency_key("orderCreate", &input.idempotency_key, &input);
        let result = async {
            let OrderCreateInput { lines, idempotency_key: _, expected_total, details } = input;
            context.start_checkout()?;
            sales::limit_orders(&context.sales(), details.order_contacts(None)).await?;
            let items = parse_line_requests(lines, "input.lines")?;
            let expected_minor_total = parse_amount(context, expected_total, "input.expectedTotal")?;
            let contact = [details.email.as_deref(), details.phone.as_deref()].map(Option::unwrap_or_default);
            let idempotency_key = idempotency_key?.for_guest(&contact.join(" ").to_lowercase());
            let source = OrderSource::Items(items);
            let request = details.into_checkout_request(idempotency_key, source, expected_minor_total)?;
            sales::complete_checkout(&context.sales(), request).await
        };
        CheckoutPayload::from_result(context, result.await).await
    }

    /// Pays an order with a new payment: after a payment failed, or with another method instead of a pending payment.
    /// Idempotent by `idempotencyKey`.
    #[graphql(guard = "Public")]
    async fn order_pay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the order.")] id: ID,
        #[graphql(desc = "Payment method and guest token.")] input: OrderPayInput,
    ) -> Result<Option<CheckoutPayload>> {
        let context = request_context(ctx);
        let idempotency_key = parse_idempotency_key("orderPay", &format!("{}:{}", input.idempotency_key, *id), &input);
        let result = async {
            let OrderPayInput { payment_method_id, payer_phone, token, idempotency_key: _ } = input;
            context.start_checkout()?;
            let contacts = OrderContacts { phone: payer_phone.as_deref(), ..OrderContacts::default() };
            sales::limit_orders(&context.sales(), contacts).await?;
            let order_id = GlobalId::decode_as(&id, NodeType::Order, "id")?;
            let request = PayOrderRequest {
                access: OrderAccess { order_id, expected_version: None, token: token.as_deref() },
                idempotency_key: idempotency_key?.for_guest(&id),
                payment_method_id: payment_method_id.to_string(),
                payer_phone,
            };
            let order = sales::pay_order(&context.sales(), request).await?;
            Ok(CheckoutResult { order_id: order.id, placed_order: None })
        };
        CheckoutPayload::from_result(context, result.await).await
    }
}

impl CheckoutDetailsInput {
    fn order_contacts<'a>(&'a self, cart_id: Option<&'a ID>) -> OrderContacts<'a> {
        let shipping_phone = self.shipping_address.as_ref().and_then(AddressChoiceInput::phone);
        let (email, phone) = (self.email.as_deref(), self.phone.as_deref());
        let payer_phone = self.payer_phone.as_deref();
        OrderContacts { email, phone, shipping_phone, payer_phone, cart: cart_id.map(|id| id.as_str()) }
    }

    fn into_checkout_request(
        self,
        idempotency_key: IdempotencyKey,
        source: OrderSource,
        expected_total: Option<i64>,
    ) -> Result<CheckoutRequest> {
        let Self {
            email,
            phone,
            shipping_address,
            billing_address,
            shipping_method_id,
            payment_method_id,
            payer_phone,
            note,
            language,
        } = self;
        let shipping_input =
            shipping_address.map(|choice| choice.into_address_input("input.shippingAddress")).transpose()?;
        let billing_input =
            billing_address.map(|choice| choice.into_address_input("input.billingAddress")).transpose()?;
        let shipping_method_id =
            parse_optional_id(shipping_method_id, NodeType::ShippingMethod, "input.shippingMethodId")?;
        Ok(CheckoutRequest {
            idempotency_key,
            source,
            expected_total,
            buyer: BuyerDetails {
                email,
                phone,
                language: language.map(LanguageCode::from),
                shipping_address: shipping_input,
                billing_address: billing_input,
            },
            shipping_method_id,
            note,
            payment_method_id: payment_method_id.to_string(),
            payer_phone,
        })
    }
}
