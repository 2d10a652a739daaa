//! `savannah serve`: the api, and beside it a worker.

use std::{io::Write, path::Path, sync::Arc, sync::atomic::Ordering};

use sea_orm::{EntityTrait, PaginatorTrait};
use tokio::{net::TcpListener, sync::watch};

use super::{
    ServeArgs,
    clock::{every_second, signal},
    open_ready, worker,
};
use crate::{
    catalog,
    customer::staff,
    exchange::{
        Progress,
        import::{DEMO, Import},
    },
    graphql::context::Shared,
    http::{self, App},
    infra::{Config, Db, config::Mode, jobs},
    pricing,
    wiring::wiring,
};

/// Who may do everything in an empty development shop.
const FIRST_ADMIN: &str = "admin@savannah.example";

pub(super) async fn run(config: Config, args: &ServeArgs) -> Result<(), String> {
    // Before anything slow: a port that is taken is said at once.
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.map_err(|why| match why.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{bind} is taken: stop what listens there, or set BIND_ADDR to another")
        }
        _ => format!("cannot listen on {bind}: {why}"),
    })?;
    let db = open_ready(&config, true).await?;
    if config.shop.mode == Mode::Development && !args.no_demo {
        fill(&db, &config).await?;
        first_admin(&db).await?;
    }
    let grace = config.server.shutdown_grace;
    let name = config.shop.name.clone();
    let shared = Arc::new(Shared::open(db.clone(), config).await.map_err(|why| why.log())?);
    let app = App::new(Arc::clone(&shared));
    let (stop, stopped) = watch::channel(false);
    // What others have changed is heard of, also where another process works.
    let fresh = tokio::spawn({
        let stopped = stopped.clone();
        async move { every_second(stopped, || shared.refresh()).await }
    });
    let working = if args.no_worker {
        jobs::register(&db, &wiring(&app.shared.providers)).await.map_err(|why| why.log())?;
        None
    } else {
        Some(worker::spawn(&db, &app.shared.config, &stopped).await?)
    };

    let address = listener.local_addr().map_err(|why| why.to_string())?;
    let asked = signal();
    greet(&name, &address.to_string());
    let mut ending = stopped;
    let router = http::router(&app).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        // The sender lives until after the server, so this ends when it says so.
        let _ = ending.wait_for(|stop| *stop).await;
    });
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return ended.map_err(|why| format!("the server broke: {why}")),
        () = asked => {}
    }
    tracing::info!(grace_seconds = grace.as_secs(), "stopping: running requests may finish");
    app.stopping.store(true, Ordering::Relaxed);
    stop.send_replace(true);
    if tokio::time::timeout(grace, serving).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
    for task in [Some(fresh), working].into_iter().flatten() {
        if let Err(why) = task.await {
            tracing::warn!(error = %why, "the clock's work ended badly");
        }
    }
    db.close().await;
    Ok(())
}

/// What a person who has just started the shop wants to know. On a terminal only; the log says it too.
fn greet(name: &str, address: &str) {
    tracing::info!(address, "{name} is open");
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = writeln!(out, "{name} is open:  http://{address}/graphiql  (the API: http://{address}/graphql)");
}

/// A development shop where nobody has an account gets an admin. The password is for whoever sits at the console, this
/// once: it goes into no log.
async fn first_admin(db: &Db) -> Result<(), String> {
    let made = staff::first_admin(db, FIRST_ADMIN).await.map_err(|why| why.log())?;
    if let Some(password) = made {
        let mut out = std::io::stdout().lock();
        // A closed standard output is no reason not to serve; `savannah user` makes another one.
        let _ = writeln!(out, "The first admin, told this once:  {FIRST_ADMIN}  {password}");
    }
    Ok(())
}

/// An empty development shop gets the demo catalog, and what is needed to buy from it.
async fn fill(db: &Db, config: &Config) -> Result<(), String> {
    let there = catalog::product::Entity::find().count(db).await.map_err(|why| why.to_string())?;
    if there > 0 {
        return Ok(());
    }
    let mut tell = |remark| tracing::warn!(?remark, "the demo catalog");
    let mut import = Import {
        db,
        currency: config.shop.currency,
        time_zone: config.shop.time_zone,
        dry_run: false,
        progress: Progress::default(),
        tell: &mut tell,
    };
    let outcome = import.products_from(DEMO, Path::new("the demo catalog")).await.map_err(|why| why.log())?;
    db.write(async |tx| pricing::fit_out(tx, config.shop.currency).await).await.map_err(|why| why.log())?;
    tracing::info!(products = outcome.made, "the empty shop was filled with the demo catalog");
    Ok(())
}
