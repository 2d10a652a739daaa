//! What happens after: every reaction to an event, every job, everything that runs by the clock, one line each.

use crate::{
    base::Result,
    identity::session,
    infra::{
        Env,
        jobs::{Wiring, keep},
    },
    notification,
};

/// All of it.
#[must_use]
pub fn wiring() -> Wiring {
    Wiring::default()
        .on("notification.identity", notification::identity::write)
        .on("notification.order", notification::order::placed)
        .on("notification.order", notification::order::changed)
        .on("notification.order", notification::order::shipped)
        .on("notification.order", notification::order::refunded)
        .job(notification::send::send)
        .every("jobs.prune", "20 7 * * * *", keep::prune)
        .every("session.prune", "40 */10 * * * *", prune_sessions)
}

/// Sessions and tokens that ended long ago are removed.
async fn prune_sessions(env: &Env) -> Result<()> {
    session::prune(&env.db).await
}
