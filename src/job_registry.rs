//! The registry of all event handlers, jobs and schedules.

use crate::{
    analytics::{self, product_sales},
    base::Result,
    cart,
    identity::{email_change, login_code, session},
    infra::{
        Db, JobContext, idempotency, idempotent_request,
        jobs::{JobOutcome, JobRegistry, retention},
        throttle,
    },
    notification,
    payment::{
        PaymentProviders,
        jobs::{AuthorizePayment, CapturePayment, RefundPayment, VoidPayment},
    },
    privacy,
    sales::{authorize, capture, expire, refund, void},
};

/// Passes the payment providers to a job handler.
fn with_payment_providers<J, Work, Done>(
    providers: &PaymentProviders,
    work: Work,
) -> impl Fn(&JobContext, J) -> Done + Send + Sync + 'static
where
    Work: Fn(Db, PaymentProviders, J) -> Done + Send + Sync + 'static,
    Done: Future<Output = JobOutcome> + Send + 'static,
    J: 'static,
{
    let providers = providers.clone();
    move |context, job| work(context.db.clone(), providers.clone(), job)
}

/// Creates the registry with the given payment providers.
#[must_use]
pub fn build_job_registry(providers: &PaymentProviders) -> JobRegistry {
    JobRegistry::default()
        .with_job::<AuthorizePayment>(with_payment_providers(providers, authorize::run_authorize_job))
        .with_job::<RefundPayment>(with_payment_providers(providers, refund::execution::run_refund_job))
        .with_job::<VoidPayment>(with_payment_providers(providers, void::run_void_job))
        .with_job::<CapturePayment>(with_payment_providers(providers, capture::run_capture_job))
        .on_event("notification.identity", notification::identity_handlers::enqueue_token_email)
        .on_event("notification.identity", notification::identity_handlers::notify_email_change_requested)
        .on_event("notification.identity", notification::identity_handlers::notify_email_changed)
        .on_event("notification.identity", notification::identity_handlers::enqueue_login_code)
        .on_event("notification.order", notification::order_handlers::notify_order_link_requested)
        .on_event("notification.order", notification::order_handlers::notify_order_placed)
        .on_event("notification.order", notification::order_handlers::notify_order_status_changed)
        .on_event("notification.order", notification::order_handlers::notify_order_shipped)
        .on_event("notification.order", notification::order_handlers::notify_order_refunded)
        .on_event("analytics.sales", product_sales::count_placed_order)
        .on_event("analytics.sales", product_sales::count_order_after_status_change)
        .on_event("analytics.sales", product_sales::count_order_after_cancellation)
        .with_job(notification::send::send_notification)
        .with_schedule("analytics.prune", "25 14 * * * *", delete_expired_sales)
        .with_schedule("cart.delete_expired", "30 23 * * * *", delete_expired_carts)
        .with_schedule("idempotency.prune", "10 41 * * * *", delete_expired_idempotency_keys)
        .with_schedule("jobs.prune", "20 7 * * * *", retention::delete_expired_jobs)
        .with_schedule("notification.delete_expired", "15 52 * * * *", delete_expired_messages)
        .with_schedule("order.expire", "5 * * * * *", expire_orders)
        .with_schedule("order.anonymize", "50 26 * * * *", anonymize_orders)
        .with_schedule("session.prune", "40 */10 * * * *", delete_expired_sessions)
        .with_schedule("throttle.prune", "55 */10 * * * *", delete_expired_throttle_counters)
}

/// Deletes expired sessions, tokens and codes.
async fn delete_expired_sessions(context: &JobContext) -> Result<()> {
    email_change::delete_expired_email_changes(&context.db).await?;
    login_code::delete_expired_login_codes(&context.db).await?;
    session::delete_expired_sessions(&context.db).await
}

/// Deletes throttle counters whose window has ended.
async fn delete_expired_throttle_counters(context: &JobContext) -> Result<()> {
    throttle::delete_expired_counters(&context.db).await.map(|_| ())
}

/// Deletes sales that no longer count.
async fn delete_expired_sales(context: &JobContext) -> Result<()> {
    analytics::delete_expired_sales(&context.db).await
}

/// Deletes expired carts.
async fn delete_expired_carts(context: &JobContext) -> Result<()> {
    cart::delete_expired_carts(&context.db, &context.config.cart).await.map(|_| ())
}

/// Deletes idempotency keys and stored responses past their retention.
async fn delete_expired_idempotency_keys(context: &JobContext) -> Result<()> {
    idempotent_request::delete_expired_requests(&context.db).await?;
    idempotency::delete_expired_idempotency_keys(&context.db).await.map(|_| ())
}

/// Expires orders whose payment is overdue.
async fn expire_orders(context: &JobContext) -> Result<()> {
    expire::expire_overdue_orders(&context.db, None).await.map(|_| ())
}

/// Deletes messages past their retention.
async fn delete_expired_messages(context: &JobContext) -> Result<()> {
    notification::sending_limits::delete_expired_messages(&context.db, &context.config.notification).await
}

/// Anonymizes finished orders of customers whose data was erased.
async fn anonymize_orders(context: &JobContext) -> Result<()> {
    privacy::anonymize_orders(&context.db).await
}
