//! The registry of all event handlers, jobs and schedules.

use futures_util::future::BoxFuture;

use crate::{
    analytics::{self, cart_figures, order_figures, product_sales},
    base::Result,
    cart,
    catalog::{
        events::{ProductPublished, ProductsChanged},
        search::{
            ranking::{self, RankProducts},
            report,
        },
        write::reindex::{self, ReindexProducts},
    },
    identity::{
        email_change,
        events::{CustomerDeleted, CustomerRegistered, CustomerUpdated},
        login_code, oauth_grant, session,
    },
    infra::{
        Db, JobContext,
        config::ORDER_FIGURES_CONSUMER,
        idempotency, idempotent_request,
        jobs::{JobOutcome, JobRegistry, retention},
        throttle,
    },
    inventory::{StockChanged, StockLow},
    media::{
        MediaLibrary,
        jobs::{DeleteMediaFiles, RenderMedia, run_delete_job, run_render_job},
        remote::{CopyRemotePicture, run_copy_job},
        sweep,
    },
    notification,
    order::{self, OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, OrderUpdated},
    payment::{
        PaymentProviders,
        events::{PaymentCaptured, PaymentFailed},
        jobs::{ApplyWebhook, AuthorizePayment, CapturePayment, ReconcilePayments, RefundPayment, VoidPayment},
        received_webhooks,
    },
    privacy,
    sales::{authorize, capture, expire, receive_webhook, reconcile, refund, void},
    webhook::{self, PayloadRenderer, WebhookSender, delivery::DeliverWebhooks, fan_out_event},
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

/// Creates the handler of the job that sends webhooks.
fn with_webhook_sender(
    sender: WebhookSender,
) -> impl for<'a> Fn(&'a JobContext, DeliverWebhooks) -> BoxFuture<'a, JobOutcome> + Send + Sync + 'static {
    move |context, job| {
        let sender = sender.clone();
        Box::pin(async move { sender.run_delivery_job(context, job).await })
    }
}

/// Creates the handler of the job that makes renditions.
fn with_renditions(
    library: &MediaLibrary,
) -> impl for<'a> Fn(&'a JobContext, RenderMedia) -> BoxFuture<'a, JobOutcome> + Send + Sync + 'static {
    let library = library.clone();
    move |context, job| {
        let library = library.clone();
        Box::pin(async move { run_render_job(context, &library, job).await })
    }
}

/// Creates the handler of the job that deletes files of pictures.
fn with_file_deletion(
    library: &MediaLibrary,
) -> impl for<'a> Fn(&'a JobContext, DeleteMediaFiles) -> BoxFuture<'a, JobOutcome> + Send + Sync + 'static {
    let library = library.clone();
    move |_, job| {
        let library = library.clone();
        Box::pin(async move { run_delete_job(&library, job).await })
    }
}

/// Creates the handler of the job that copies a picture from another address.
fn with_remote_copies(
    library: &MediaLibrary,
) -> impl for<'a> Fn(&'a JobContext, CopyRemotePicture) -> BoxFuture<'a, JobOutcome> + Send + Sync + 'static {
    let library = library.clone();
    move |context, job| {
        let library = library.clone();
        Box::pin(async move { run_copy_job(context, &library, &order::media_use::MediaUse, job).await })
    }
}

/// Creates the task that deletes unused pictures.
fn with_media_sweep(
    library: &MediaLibrary,
) -> impl for<'a> Fn(&'a JobContext) -> BoxFuture<'a, Result<()>> + Send + Sync + 'static {
    let library = library.clone();
    move |context| {
        let library = library.clone();
        Box::pin(async move { sweep::delete_unused(&context.db, &library, &order::media_use::MediaUse).await })
    }
}

/// Creates the registry with the given payment providers, and what executes the payload queries of webhooks.
#[must_use]
pub fn build_job_registry(
    providers: &PaymentProviders,
    library: &MediaLibrary,
    renderer: PayloadRenderer,
) -> JobRegistry {
    JobRegistry::default()
        .with_job::<AuthorizePayment>(with_payment_providers(providers, authorize::run_authorize_job))
        .with_job::<RefundPayment>(with_payment_providers(providers, refund::execution::run_refund_job))
        .with_job::<VoidPayment>(with_payment_providers(providers, void::run_void_job))
        .with_job::<CapturePayment>(with_payment_providers(providers, capture::run_capture_job))
        .with_job::<ApplyWebhook>(with_payment_providers(providers, receive_webhook::run_apply_webhook_job))
        .with_job::<ReconcilePayments>(with_payment_providers(providers, reconcile::run_reconcile_job))
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
        .on_event(ORDER_FIGURES_CONSUMER, order_figures::count_placed_order)
        .on_event(ORDER_FIGURES_CONSUMER, order_figures::count_updated_order)
        .with_job(notification::send::send_notification)
        .on_event("webhook", fan_out_event::<OrderPlaced>)
        .on_event("webhook", fan_out_event::<OrderUpdated>)
        .on_event("webhook", fan_out_event::<OrderStatusChanged>)
        .on_event("webhook", fan_out_event::<OrderShipped>)
        .on_event("webhook", fan_out_event::<OrderRefunded>)
        .on_event("webhook", fan_out_event::<PaymentCaptured>)
        .on_event("webhook", fan_out_event::<PaymentFailed>)
        .on_event("webhook", fan_out_event::<ProductsChanged>)
        .on_event("webhook", fan_out_event::<ProductPublished>)
        .on_event("webhook", fan_out_event::<StockChanged>)
        .on_event("webhook", fan_out_event::<StockLow>)
        .on_event("webhook", fan_out_event::<CustomerRegistered>)
        .on_event("webhook", fan_out_event::<CustomerUpdated>)
        .on_event("webhook", fan_out_event::<CustomerDeleted>)
        .on_event("notification.webhook", webhook::enqueue_pause_emails)
        .with_job(webhook::send_pause_email)
        .with_job::<DeliverWebhooks>(with_webhook_sender(WebhookSender::new(renderer)))
        .with_job::<RenderMedia>(with_renditions(library))
        .with_job::<DeleteMediaFiles>(with_file_deletion(library))
        .with_job::<CopyRemotePicture>(with_remote_copies(library))
        .with_job::<RankProducts>(ranking::run_rank_job)
        .with_job::<ReindexProducts>(reindex::run_reindex_job)
        .with_schedule("analytics.carts", "35 * * * * *", count_changed_carts)
        .with_schedule("analytics.prune", "25 14 * * * *", delete_expired_sales)
        .with_schedule("cart.delete_expired", "30 23 * * * *", delete_expired_carts)
        .with_schedule("idempotency.prune", "10 41 * * * *", delete_expired_idempotency_keys)
        .with_schedule("jobs.prune", "20 7 * * * *", retention::delete_expired_jobs)
        .with_schedule("media.delete_unused", "20 47 * * * *", with_media_sweep(library))
        .with_schedule("notification.delete_expired", "15 52 * * * *", delete_expired_messages)
        .with_schedule("order.expire", "5 * * * * *", expire_orders)
        .with_schedule("order.anonymize", "50 26 * * * *", anonymize_orders)
        .with_schedule("payment.delete_expired_webhooks", "35 18 * * * *", delete_expired_webhooks)
        .with_schedule("payment.reconcile", "45 4/10 * * * *", enqueue_reconciliation)
        .with_schedule("search.prune", "50 33 * * * *", delete_expired_search_counts)
        .with_schedule("session.prune", "40 */10 * * * *", delete_expired_sessions)
        .with_schedule("throttle.prune", "55 */10 * * * *", delete_expired_throttle_counters)
        .with_schedule("webhook.prune", "35 18 * * * *", webhook::maintenance::delete_expired_deliveries)
        .with_schedule("webhook.resume", "45 * * * * *", webhook::maintenance::resume_deliveries)
}

/// Deletes counts of searches past their retention.
async fn delete_expired_search_counts(context: &JobContext) -> Result<()> {
    report::delete_expired_counts(&context.db, context.config.search.report_retention).await
}

/// Deletes expired sessions, tokens, codes and grants.
async fn delete_expired_sessions(context: &JobContext) -> Result<()> {
    email_change::delete_expired_email_changes(&context.db).await?;
    login_code::delete_expired_login_codes(&context.db).await?;
    oauth_grant::delete_expired_grants(&context.db).await?;
    session::delete_expired_sessions(&context.db).await
}

/// Deletes throttle counters whose window has ended.
async fn delete_expired_throttle_counters(context: &JobContext) -> Result<()> {
    throttle::delete_expired_counters(&context.db).await.map(|_| ())
}

/// Counts the carts that were changed since the last run.
async fn count_changed_carts(context: &JobContext) -> Result<()> {
    cart_figures::count_changed_carts(&context.db).await
}

/// Deletes sales that no longer count, and figures of carts that no longer exist.
async fn delete_expired_sales(context: &JobContext) -> Result<()> {
    cart_figures::delete_figures_of_deleted_carts(&context.db).await?;
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

/// Deletes received webhooks past their retention.
async fn delete_expired_webhooks(context: &JobContext) -> Result<()> {
    received_webhooks::delete_expired_webhooks(&context.db, context.config.payment.webhook_retention).await
}

/// Enqueues the reconciliation of payments.
async fn enqueue_reconciliation(context: &JobContext) -> Result<()> {
    context.db.write(async |tx| tx.enqueue_job(ReconcilePayments {}).await).await
}

/// Deletes messages past their retention.
async fn delete_expired_messages(context: &JobContext) -> Result<()> {
    notification::sending_limits::delete_expired_messages(&context.db, &context.config.notification).await
}

/// Anonymizes finished orders of customers whose data was erased.
async fn anonymize_orders(context: &JobContext) -> Result<()> {
    privacy::anonymize_orders(&context.db).await
}
