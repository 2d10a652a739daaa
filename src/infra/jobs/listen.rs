//! Hearing of work that other processes have left: LISTEN on a connection of its own, for as long as there is one.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;

use crate::infra::bell::{Bell, CHANNEL};

/// How long until a connection that broke is tried again. Until then work is found by the clock.
const AGAIN: Duration = Duration::from_secs(5);

/// Wakes whoever listens to the bell, until it is dropped.
pub(super) async fn listen(url: String, bell: Arc<Bell>) {
    loop {
        if let Err(why) = hear(&url, &bell).await {
            // The reason may name the server, never the password.
            tracing::warn!(error = %why, "not heard of others' work; it is found by the clock");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(url: &str, bell: &Bell) -> Result<(), sqlx::Error> {
    let mut ear = PgListener::connect(url).await?;
    ear.listen(CHANNEL).await?;
    // Whatever came before there was an ear.
    bell.wake();
    // `None` is a connection that was lost: it is opened again by whoever calls.
    while let Some(rung) = ear.try_recv().await? {
        if rung.payload() != bell.name {
            bell.wake();
        }
    }
    Ok(())
}
