//! Access token of the Daraja API: fetched once for all callers and kept until shortly before it expires.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderValue;
use tokio::{sync::Mutex, time::Instant};

use super::client::DarajaError;

/// How long before its expiry a token is renewed.
const EXPIRY_MARGIN: TimeDelta = TimeDelta::seconds(60);

/// The access token, shared by all clones.
#[derive(Debug, Clone, Default)]
pub(super) struct AccessTokenStore(Arc<Mutex<TokenState>>);

#[derive(Debug, Default)]
struct TokenState {
    /// Number of the current token; 0: there was none yet.
    generation: u64,
    token: Option<FetchedToken>,
    /// The last failed request for a token.
    failure: Option<(Instant, DarajaError)>,
}

/// A token as fetched.
#[derive(Debug, Clone)]
pub(super) struct FetchedToken {
    /// Value of the header `Authorization`.
    pub authorization: HeaderValue,
    /// When M-Pesa stops accepting it.
    pub expires_at: DateTime<Utc>,
}

/// A token for one call.
#[derive(Debug, Clone)]
pub(super) struct IssuedToken {
    /// Value of the header `Authorization`.
    pub authorization: HeaderValue,
    generation: u64,
}

impl AccessTokenStore {
    /// Returns a token that is valid at `now` and is not the `rejected` one. Of concurrent callers one fetches it; the
    /// others wait and share its token, or its failure.
    pub async fn obtain<F>(
        &self,
        now: DateTime<Utc>,
        rejected: Option<&IssuedToken>,
        fetch: F,
    ) -> Result<IssuedToken, DarajaError>
    where
        F: AsyncFnOnce() -> Result<FetchedToken, DarajaError>,
    {
        let waiting_since = Instant::now();
        let mut state = self.0.lock().await;
        let is_rejected = rejected.is_some_and(|token| token.generation == state.generation);
        if let Some(token) = state.token.as_ref().filter(|token| !is_rejected && now + EXPIRY_MARGIN < token.expires_at)
        {
            return Ok(IssuedToken { authorization: token.authorization.clone(), generation: state.generation });
        }
        if let Some((_, error)) = state.failure.as_ref().filter(|(failed_at, _)| *failed_at >= waiting_since) {
            return Err(error.clone());
        }
        match fetch().await {
            Ok(token) => {
                state.generation += 1;
                let issued = IssuedToken { authorization: token.authorization.clone(), generation: state.generation };
                (state.token, state.failure) = (Some(token), None);
                Ok(issued)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join;

    use super::*;

    fn token_until(expires_at: DateTime<Utc>) -> FetchedToken {
        FetchedToken { authorization: HeaderValue::from_static("Bearer x"), expires_at }
    }

    fn noon() -> DateTime<Utc> {
        "2026-11-01T12:00:00Z".parse().expect("a time")
    }

    #[tokio::test]
    async fn token_is_kept_until_shortly_before_its_expiry() {
        let store = AccessTokenStore::default();
        let expires_at = noon() + TimeDelta::seconds(3599);
        let obtain = async |now, fetched| {
            store.obtain(now, None, async || fetched).await.map(|token| token.generation).map_err(|_| ())
        };
        let failed = || Err(DarajaError::Unavailable("no".into()));
        assert_eq!(obtain(noon(), failed()).await, Err(()));
        assert_eq!(obtain(noon(), Ok(token_until(expires_at))).await, Ok(1));
        assert_eq!(obtain(noon() + TimeDelta::seconds(3538), failed()).await, Ok(1));
        assert_eq!(obtain(noon() + TimeDelta::seconds(3539), Ok(token_until(expires_at))).await, Ok(2));
    }

    #[tokio::test]
    async fn rejected_token_is_renewed_once_for_all_callers() {
        let store = AccessTokenStore::default();
        let expires_at = noon() + TimeDelta::seconds(3599);
        let fetch = async || Ok(token_until(expires_at));
        let first = store.obtain(noon(), None, fetch).await.expect("a token");
        for _ in 0..2 {
            let renewed = store.obtain(noon(), Some(&first), fetch).await.expect("a token");
            assert_eq!((first.generation, renewed.generation), (1, 2));
        }
    }

    #[tokio::test]
    async fn failure_is_shared_by_those_who_waited_for_it() {
        let (store, requests) = (AccessTokenStore::default(), AtomicUsize::new(0));
        let obtain = async || {
            let fetch = async || {
                requests.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(DarajaError::Unavailable("no".into()))
            };
            store.obtain(noon(), None, fetch).await.map(|token| token.generation)
        };
        let failure = Err(DarajaError::Unavailable("no".into()));
        assert_eq!(join(obtain(), obtain()).await, (failure.clone(), failure.clone()));
        assert_eq!(requests.load(Ordering::Relaxed), 1);
        assert_eq!((obtain().await, requests.load(Ordering::Relaxed)), (failure, 2));
    }
}
