//! Idempotency keys of mutations: each request is carried out once.

use async_graphql::InputType;

use crate::{
    base::{Error, Result},
    infra::{Db, IdempotencyClaim, IdempotencyKey, ResourceKey, Tx},
};

/// Creates the idempotency key of a request from its operation, key and whole input.
///
/// # Errors
/// Returns `BadUserInput` if the key is malformed.
pub fn parse_idempotency_key(
    operation_name: &'static str,
    idempotency_key: &str,
    input: &impl InputType,
) -> Result<IdempotencyKey> {
    let input_json = input.to_value().into_json().map_err(|error| Error::internal("reading an input", error))?;
    IdempotencyKey::new(operation_name, idempotency_key, &input_json)
}

/// Changes an existing resource in a transaction with the claim of the key, and retries the transaction as
/// [`Db::write_with_retry`] does. `None` for a replayed request, which changes nothing.
///
/// # Errors
/// Returns `IdempotencyMismatch` if the key was used for another request, or the error of the work.
pub async fn write_once<T, Work>(
    db: &Db,
    key: &IdempotencyKey,
    resource_id: i64,
    work_factory: impl Fn() -> Work,
) -> Result<Option<T>>
where
    Work: AsyncFnOnce(&Tx) -> Result<T>,
{
    db.write_with_retry(|| {
        let work = work_factory();
        async move |tx: &Tx| match tx.claim_idempotency_key(key, ResourceKey::Existing(resource_id)).await? {
            IdempotencyClaim::New(_) => work(tx).await.map(Some),
            IdempotencyClaim::Replay(_) => Ok(None),
        }
    })
    .await
}
