//! `savannah serve`: the api, and beside it a worker.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use sea_orm::{EntityTrait, PaginatorTrait};
use tokio::{net::TcpListener, sync::watch, time::Instant};

use super::{
    ServeArgs,
    clock::{every_second, signal},
    finish, open, open_ready, worker,
};
use crate::{
    base::Result,
    catalog,
    customer::staff,
    exchange::{
        Progress,
        import::{DEMO, Import, Outcome},
    },
    graphql::context::Shared,
    http::{self, App},
    identity::entity::account,
    infra::{Config, Db, config::Mode, jobs, shop},
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
        prepare(&config).await?;
    }
    let (delay, grace) = (config.server.shutdown_delay.within(config.shop.mode), config.server.shutdown_grace);
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
        Some(worker::spawn(&db, (&app.shared.config, &app.shared.providers), &stopped).await?)
    };

    let address = listener.local_addr().map_err(|why| why.to_string())?;
    let asked = signal();
    greet(&name, &address.to_string());
    let mut serving = tokio::spawn(http::serve(listener, Arc::clone(&app), http::router(&app), stopped));
    tokio::select! {
        ended = &mut serving => return Err(format!("the server broke: {ended:?}")),
        () = asked => {}
    }
    tracing::info!(
        delay_seconds = delay.as_secs(),
        grace_seconds = grace.as_secs(),
        "stopping: running requests may finish"
    );
    app.stopping.store(true, Ordering::Relaxed);
    tokio::time::sleep(delay).await;
    let deadline = Instant::now() + grace;
    stop.send_replace(true);
    if tokio::time::timeout_at(deadline, &mut serving).await.is_err() {
        tracing::warn!("some requests did not finish in time");
        serving.abort();
    }
    let tasks = [Some(fresh), working].into_iter().flatten().collect();
    finish(tasks, db, deadline).await;
    Ok(())
}

/// What a person who has just started the shop wants to know. On a terminal only; the log says it too.
fn greet(name: &str, address: &str) {
    tracing::info!(address, "{name} is open");
    let mut out = std::io::stdout().lock();
    // A closed standard output is no reason not to serve.
    let _ = writeln!(out, "{name} is open:  http://{address}/graphiql  (the API: http://{address}/graphql)");
}

/// Fills an empty development shop, and makes its first admin. Others that start at the same moment wait.
async fn prepare(config: &Config) -> Result<(), String> {
    // What a request may take is not what this takes.
    let db = open(config, false).await?;
    fill(&db, config).await.map_err(|why| why.log())?;
    first_admin(&db).await.map_err(|why| why.log())?;
    db.close().await;
    Ok(())
}

/// A development shop where nobody has an account gets an admin. The password is for whoever sits at the terminal, this
/// once: where standard output goes elsewhere, it would be kept there.
async fn first_admin(db: &Db) -> Result<()> {
    if !std::io::stdout().is_terminal() {
        if account::Entity::find().count(db).await? == 0 {
            tracing::info!("nobody has an account yet: `savannah user create --role admin` makes the first one");
        }
        return Ok(());
    }
    if let Some(password) = staff::first_admin(db, FIRST_ADMIN).await? {
        let mut out = std::io::stdout().lock();
        // A closed standard output is no reason not to serve; `savannah user` makes another one.
        let _ = writeln!(out, "The first admin, told this once:  {FIRST_ADMIN}  {password}");
    }
    Ok(())
}

/// An empty development shop gets the demo catalog, and what is needed to buy from it: all of it, or nothing when the
/// process is killed meanwhile.
async fn fill(db: &Db, config: &Config) -> Result<()> {
    let mut tell = |remark| tracing::warn!(?remark, "the demo catalog");
    let currency = config.shop.currency;
    let mut import = Import {
        db,
        currency,
        time_zone: config.shop.time_zone,
        dry_run: false,
        progress: Progress::default(),
        tell: &mut tell,
    };
    let mut outcome = Outcome::default();
    let filled = db.write(async |tx| {
        shop::lock(tx).await?;
        if catalog::product::Entity::find().count(tx).await? > 0 {
            return Ok(false);
        }
        import.products_within(tx, DEMO, Path::new("the demo catalog"), &mut outcome).await?;
        pricing::fit_out(tx, currency).await?;
        Ok(true)
    });
    if filled.await? {
        tracing::info!(products = outcome.made, "the empty shop was filled with the demo catalog");
    }
    Ok(())
}
