//! How long the gate takes, in this process: no network, no database.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use savannah::{
    base::Clock,
    identity::{Gate, Guests, Outside, Role},
    infra::{Config, Db, shop::make_ready},
};

use crate::Result;

/// So many different tokens are seen for the first time.
const TOKENS: i64 = 10_000;
/// So often each is seen again.
const AGAIN: usize = 50;

/// Prints the middle of what a token costs, first and again.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|why| format!("tokio cannot start: {why}"))?.block_on(measure())
}

async fn measure() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("savannah-bench-{}", std::process::id()));
    let url = format!("sqlite://{}/shop.db", folder.display());
    let vars = [("DATABASE_URL".into(), url.into())];
    let config = Config::read(Path::new("/nowhere/savannah.toml"), vars.into_iter())?;
    let db = Db::open(&config.database, Clock::default()).await?;
    make_ready(&db, &config).await?;
    let gate = Gate::open(&db, &config.identity).await.map_err(|why| why.log())?;
    let outside = Outside::new(&config.identity)?;
    let guests = Guests::default();
    let now = db.now();
    let issue = |session| gate.issue(session, Role::Customer, session, now).map(|(token, _)| token);
    let tokens: Vec<String> =
        (1..=TOKENS).map(issue).collect::<std::result::Result<_, _>>().map_err(|why| why.log())?;
    let mut first = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let began = Instant::now();
        let caller = guests.admit((&gate, &outside), &db, black_box(token)).await;
        first.push(began.elapsed());
        caller.map_err(|why| format!("a token does not hold: {why:?}"))?;
    }
    first.sort();
    let began = Instant::now();
    let mut seen = 0_u32;
    for token in std::iter::repeat_n(&tokens, AGAIN).flatten() {
        seen += u32::from(guests.admit((&gate, &outside), &db, black_box(token)).await.is_ok());
    }
    let again = began.elapsed() / seen.max(1);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let at = |part: usize| micros(first[(first.len() * part / 100).min(first.len() - 1)]);
    println!("a token seen for the first time: {:.1} µs (middle), {:.1} µs (99 of 100)", at(50), at(99));
    println!("a token seen before: {:.2} µs", micros(again));
    db.close().await;
    std::fs::remove_dir_all(&folder).map_err(|why| format!("{} is left behind: {why}", folder.display()))
}
