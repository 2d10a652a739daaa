//! In-process benchmark of access token authentication, without network and database access.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use savannah::{
    base::Clock,
    identity::{
        AccessTokenService, Authenticator, ExternalTokenVerifier, Role, authenticator::TokenVerifiers,
        jwt::TokenSubject,
    },
    infra::{Config, Db, bootstrap::ensure_initialized},
};

use crate::Result;

/// The number of different tokens.
const TOKEN_COUNT: i64 = 10_000;
/// The number of repeated checks per token.
const REPEAT_COUNT: usize = 50;

/// Prints the time of first and repeated token checks.
pub fn run_token_benchmark() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("tokio cannot start: {error}"))?.block_on(measure_token_checks())
}

async fn measure_token_checks() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("savannah-bench-{}", std::process::id()));
    let url = format!("sqlite://{}/shop.db", folder.display());
    let vars = [("DATABASE_URL".into(), url.into())];
    let config = Config::load_from(Path::new("/nowhere/savannah.toml"), vars.into_iter())?;
    let db = Db::connect(&config.database, Clock::default()).await?;
    ensure_initialized(&db, &config).await?;
    let token_service = AccessTokenService::load(&db, &config.identity).await.map_err(|error| error.log_message())?;
    let external_tokens = ExternalTokenVerifier::new(&config.identity)?;
    let authenticator = Authenticator::default();
    let now = db.now();
    let issue = |id| {
        let subject = TokenSubject { account_id: id, role: Role::Customer, session_id: id };
        token_service.issue_token(subject, now).map(|issued| issued.token)
    };
    let verifiers = TokenVerifiers { access_tokens: &token_service, external_tokens: &external_tokens };
    let tokens: Vec<String> =
        (1..=TOKEN_COUNT).map(issue).collect::<std::result::Result<_, _>>().map_err(|error| error.log_message())?;
    let mut first_check_times = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let started = Instant::now();
        let caller = authenticator.authenticate(verifiers, &db, black_box(token)).await;
        first_check_times.push(started.elapsed());
        caller.map_err(|error| format!("a token was rejected: {error:?}"))?;
    }
    first_check_times.sort();
    let started = Instant::now();
    let mut repeat_count = 0_u32;
    for token in std::iter::repeat_n(&tokens, REPEAT_COUNT).flatten() {
        repeat_count += u32::from(authenticator.authenticate(verifiers, &db, black_box(token)).await.is_ok());
    }
    let repeat_check_time = started.elapsed() / repeat_count.max(1);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let percentile = |percent: usize| {
        micros(first_check_times[(first_check_times.len() * percent / 100).min(first_check_times.len() - 1)])
    };
    println!(
        "a token seen for the first time: {:.1} µs (middle), {:.1} µs (99 of 100)",
        percentile(50),
        percentile(99)
    );
    println!("a token seen before: {:.2} µs", micros(repeat_check_time));
    db.close().await;
    std::fs::remove_dir_all(&folder).map_err(|error| format!("{} is left behind: {error}", folder.display()))
}
