//! The accept loop: how many connections there are, and how the server comes to its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{
    App,
    connection::{self, Connection, Limits},
};

/// Connections beyond the limit that are answered their health checks, or 503: so a load balancer and whoever watches
/// the process hear of it while it is full.
const RESERVE: usize = 32;
/// Open files that are not connections of callers: the database's, logs, what the shop asks others for.
const OTHER_FILES: usize = 100;
/// How long a stopping server takes what is on its way: connections that the system has accepted, requests that have
/// arrived and were not read yet.
const LINGER: Duration = Duration::from_millis(100);
/// How long until it is tried again when the system gives no more connections.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The right to one connection.
#[derive(Debug)]
enum Place {
    Regular(OwnedSemaphorePermit),
    Reserved(OwnedSemaphorePermit),
}

/// Serves connections until `stop` says so or is dropped, then lets running requests finish: it returns when the last
/// connection has ended. Dropping its future closes all of them at once.
pub async fn serve(listener: TcpListener, app: Arc<App>, router: Router, stop: watch::Receiver<bool>) {
    let config = &app.shared.config.server;
    let places = Arc::new(Semaphore::new(connection_limit(config.max_connections)));
    let reserve = Arc::new(Semaphore::new(RESERVE));
    let mut connections = JoinSet::new();
    let mut ended = std::pin::pin!(after_stop(stop.clone(), LINGER));
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let (stream, peer) = accept(&listener).await;
            (stream, peer, place(&places, &reserve).await)
        };
        let (stream, peer, place) = tokio::select! {
            next = next => next,
            () = &mut ended => break,
        };
        let (reserved, permit) = match place {
            Place::Regular(permit) => (false, permit),
            Place::Reserved(permit) => (true, permit),
        };
        let connection = Connection { app: Arc::clone(&app), router: router.clone(), peer, reserved };
        let limits = Limits::new(config, reserved);
        let stopping = after_stop(stop.clone(), LINGER * 2);
        connections.spawn(async move {
            connection::run(connection, stream, &limits, stopping).await;
            drop(permit);
        });
    }
    // Nobody else can connect from here on.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// A while after `stop` has said so, or was dropped.
async fn after_stop(mut stop: watch::Receiver<bool>, time: Duration) {
    // An error is a sender that was dropped.
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(time).await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(why) if is_of_one_connection(&why) => {}
            Err(why) => {
                tracing::error!(error = %why, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Whether the error is of the one connection that was about to be accepted.
fn is_of_one_connection(why: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(why.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A place for a connection; waits when not even one of the reserve is free.
async fn place(places: &Arc<Semaphore>, reserve: &Arc<Semaphore>) -> Place {
    let (places, reserve) = (Arc::clone(places), Arc::clone(reserve));
    tokio::select! {
        biased;
        Ok(permit) = places.acquire_owned() => Place::Regular(permit),
        Ok(permit) = reserve.acquire_owned() => Place::Reserved(permit),
        // Neither is ever closed.
        else => std::future::pending().await,
    }
}

/// The limit that was set, or a lower one that the system allows.
fn connection_limit(set: usize) -> usize {
    let Some(files) = open_file_limit() else { return set };
    let most = files.saturating_sub(RESERVE + OTHER_FILES).max(1);
    if most < set {
        tracing::warn!(
            max_connections = most,
            open_files = files,
            "server.max_connections is lowered: the system allows too few open files (ulimit -n)"
        );
    }
    set.min(most)
}

/// How many files the process may have open, where the system says so.
fn open_file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
