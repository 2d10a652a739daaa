//! What happens after: every reaction to an event, every job, everything that runs by the clock, one line each.

use crate::{
    base::Result,
    cart,
    identity::session,
    infra::{
        Env,
        jobs::{Wiring, keep},
        once, throttle,
    },
    notification, order,
    payment::{
        Providers,
        capture::{self, Capture},
        end,
        refund::{self, PayBack},
        settle::{self, AskProvider, LetGo},
    },
};

/// Work that talks to those who move money.
macro_rules! paying {
    ($providers:expr, $work:path) => {{
        let providers = $providers.clone();
        move |env: &Env, job| {
            let (db, providers) = (env.db.clone(), providers.clone());
            async move { $work(&db, &providers, job).await }
        }
    }};
}

/// All of it, in a shop that is paid through these.
#[must_use]
pub fn wiring(providers: &Providers) -> Wiring {
    Wiring::default()
        .job::<AskProvider>(paying!(providers, settle::work))
        .job::<PayBack>(paying!(providers, refund::work))
        .job::<LetGo>(paying!(providers, capture::let_go))
        .job::<Capture>(paying!(providers, capture::work))
        .on("notification.identity", notification::identity::write)
        .on("notification.order", notification::order::placed)
        .on("notification.order", notification::order::changed)
        .on("notification.order", notification::order::shipped)
        .on("notification.order", notification::order::refunded)
        .job(notification::send::send)
        .every("cart.sweep", "30 23 * * * *", sweep_carts)
        .every("idempotency.prune", "10 41 * * * *", prune_keys)
        .every("jobs.prune", "20 7 * * * *", keep::prune)
        .every("message.delete_expired", "15 52 * * * *", delete_expired_messages)
        .every("order.expire", "5 * * * * *", expire_orders)
        .every("order.forget", "50 26 * * * *", forget_buyers)
        .every("session.prune", "40 */10 * * * *", prune_sessions)
        .every("throttle.prune", "55 */10 * * * *", prune_throttle)
}

/// Sessions and tokens that ended long ago are removed.
async fn prune_sessions(env: &Env) -> Result<()> {
    session::prune(&env.db).await
}

/// Removes counters whose window has ended.
async fn prune_throttle(env: &Env) -> Result<()> {
    throttle::prune(&env.db).await.map(|_| ())
}

/// Carts that nobody has touched for long are removed.
async fn sweep_carts(env: &Env) -> Result<()> {
    cart::sweep(&env.db, &env.config.cart).await.map(|_| ())
}

/// Keys of requests of long ago are forgotten.
async fn prune_keys(env: &Env) -> Result<()> {
    once::prune(&env.db).await.map(|_| ())
}

/// Orders whose payment has not come in time end.
async fn expire_orders(env: &Env) -> Result<()> {
    end::expire_all(&env.db, None).await.map(|_| ())
}

/// Messages that are older than they are kept are deleted.
async fn delete_expired_messages(env: &Env) -> Result<()> {
    notification::limit::delete_expired(&env.db, &env.config.notification).await
}

/// Orders that have ended since their buyers were forgotten name them no more.
async fn forget_buyers(env: &Env) -> Result<()> {
    env.db.write(async |tx| order::keep::forget(tx, None).await).await.map(|_| ())
}
