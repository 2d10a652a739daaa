//! Checkout mutations.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use super::{Order, loader::PaymentsOf, payments::OrderPayment};
use crate::{
    base::{
        LanguageCode, Result,
        error::{PublicError, PublicErrorCode},
        global_id::NodeType,
    },
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
    },
    infra::IdempotencyKey,
    order::Status,
    payment::PaymentState,
    sales::{self, BuyerDetails, CheckoutRequest, CheckoutResult, OrderContacts, OrderSource},
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
    /// Payment method; `manual` is cash on delivery or an offline agreement.
    #[graphql(default = "manual")]
    payment_method: String,
    /// Note for the packer, at most 1000 characters.
    note: Option<String>,
    /// Language of the notifications; defaults to the customer's language, then to the shop's.
    language: Option<LanguageCode>,
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

/// Payload of the checkout mutations.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct CheckoutPayload {
    /// Order; null if none was created. An order whose payment was declined is canceled.
    order: Option<Order>,
    /// User errors; empty on success.
    user_errors: Vec<UserError>,
}

impl CheckoutPayload {
    async fn from_result(context: &RequestContext, result: Result<CheckoutResult>) -> Result<Option<Self>> {
        let (result, mut user_errors) = split_user_errors(result)?;
        let Some(CheckoutResult { order_id: order, placed_order, decline_reason: failure_message }) = result else {
            return Ok(Some(Self { order: None, user_errors }));
        };
        let order = match placed_order {
            Some(placed_order) => Order::with_token(placed_order),
            None => Order::load_own(context, order).await?,
        };
        if let Some(message) = Self::find_payment_failure(context, &order, failure_message).await? {
            let error = PublicError::new(PublicErrorCode::PaymentFailed, "input.paymentMethod", message);
            user_errors.push(error.into());
        }
        Ok(Some(Self { order: Some(order), user_errors }))
    }

    /// Returns why the payment was declined, also for a replayed request; `None` unless the order was canceled.
    async fn find_payment_failure(
        context: &RequestContext,
        order: &Order,
        failure_message: Option<String>,
    ) -> Result<Option<String>> {
        if failure_message.is_some() || order.row.status != Status::Canceled {
            return Ok(failure_message);
        }
        let payments = context.load(PaymentsOf(order.row.id)).await?.unwrap_or_default();
        let last_payment = payments.last().filter(|payment| payment.status == PaymentState::Failed);
        Ok(last_payment.and_then(|payment| payment.error.clone()))
    }
}

#[ComplexObject]
impl CheckoutPayload {
    /// Ordered cart, whose status is `ORDERED`; null if no order was created or it was not placed from a cart.
    #[graphql(complexity = "CART_COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>) -> Result<Option<Cart>> {
        let Some(cart_id) = self.order.as_ref().and_then(|order| order.row.cart_id) else { return Ok(None) };
        Ok(request_context(ctx).load(RowKey::<cart_row::Entity>::new(cart_id)).await?.map(Cart::from))
    }

    /// Payment of the order; null if no order was created.
    async fn payment(&self, ctx: &Context<'_>) -> Result<Option<OrderPayment>> {
        let Some(order) = &self.order else { return Ok(None) };
        let payments = request_context(ctx).load(PaymentsOf(order.row.id)).await?;
        Ok(payments.and_then(|payments| payments.last().cloned()).map(OrderPayment))
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
}

impl CheckoutDetailsInput {
    fn order_contacts<'a>(&'a self, cart_id: Option<&'a ID>) -> OrderContacts<'a> {
        let shipping_phone = self.shipping_address.as_ref().and_then(AddressChoiceInput::phone);
        let (email, phone) = (self.email.as_deref(), self.phone.as_deref());
        OrderContacts { email, phone, shipping_phone, cart: cart_id.map(|id| id.as_str()) }
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
            payment_method,
            note,
            language,
        } = self;
        let shipping_input =
            shipping_address.map(|choice| choice.into_address_input("input.shippingAddress")).transpose()?;
        let billing_input =
            billing_address.map(|choice| choice.into_address_input("input.billingAddress")).transpose()?;
        let shipping_method_id =
            parse_optional_id(shipping_method_id, NodeType::ShippingMethod, "input.shippingMethodId")?;
        let provider_name = payment_method.to_lowercase();
        Ok(CheckoutRequest {
            idempotency_key,
            source,
            expected_total,
            buyer: BuyerDetails {
                email,
                phone,
                language,
                shipping_address: shipping_input,
                billing_address: billing_input,
            },
            shipping_method_id,
            note,
            provider: provider_name,
        })
    }
}
