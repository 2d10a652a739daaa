//! What a resolver may reach for: the shop it serves and the request it answers.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_graphql::{
    Context, SelectionField,
    dataloader::{DataLoader, Loader},
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::sync::mpsc;

use super::loader::Loads;
use crate::{
    base::{Error, Result},
    catalog::{Forest, Tree},
    infra::{Config, Db, Meter},
};

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    /// The database.
    pub db: Db,
    /// The category tree.
    pub forest: Forest,
    /// The settings.
    pub config: Config,
}

/// One request's view of the shop.
pub struct Scope {
    /// What all requests share.
    pub shared: Arc<Shared>,
    /// The database, counted for this request.
    pub db: Db,
    /// The tree as it was when the request came: one request sees one tree.
    pub tree: Arc<Tree>,
    /// What hangs on many things at once.
    loads: DataLoader<Loads>,
    left: AtomicUsize,
}

/// Loads that were asked for and wait to be run.
pub type Waiting = mpsc::UnboundedReceiver<BoxFuture<'static, ()>>;

impl Scope {
    /// A scope, its meter, and where its loads wait. [`drive`] runs them.
    #[must_use]
    pub fn open(shared: &Arc<Shared>) -> (Self, Arc<Meter>, Waiting) {
        let (db, meter) = shared.db.metered();
        let tree = shared.forest.current();
        let (sender, waiting) = mpsc::unbounded_channel();
        let spawn = move |load| {
            // Nobody waits for the loads of a request that has ended.
            let _ = sender.send(load);
        };
        let loads = DataLoader::new(Loads { db: db.clone(), tree: Arc::clone(&tree) }, spawn)
            .delay(std::time::Duration::ZERO)
            .max_batch_size(usize::MAX);
        let left = AtomicUsize::new(shared.config.graphql.max_values);
        (Self { shared: Arc::clone(shared), db, tree, loads, left }, meter, waiting)
    }

    /// Loads one thing together with all others of its kind that the request asks for.
    ///
    /// Boxed, because every field's future is as large as the largest of its type: what is at hand should not pay for
    /// what must be loaded.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn load<K>(&self, key: K) -> BoxFuture<'_, Result<Option<<Loads as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loads: Loader<K, Error = Error>,
    {
        Box::pin(self.loads.load_one(key))
    }

    /// Pays for a list that has no pages, before it is made: its length times what is asked of each.
    ///
    /// # Errors
    /// When the answer would grow past what one request may ask for.
    pub fn spend(&self, ctx: &Context<'_>, length: usize) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        let price = length.saturating_mul(below(ctx.field()));
        let paid = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(price));
        paid.map(|_| ()).map_err(|_| {
            let most = self.shared.config.graphql.max_values;
            Error::too_complex(format!("the answer would hold more than {most} values; ask for fewer levels or fields"))
        })
    }
}

/// How many fields are asked of one element of a list, on all levels.
fn below(field: SelectionField<'_>) -> usize {
    field.selection_set().map(|inner| 1 + below(inner)).sum::<usize>().max(1)
}

/// The scope of a request.
#[must_use]
pub fn scope<'a>(ctx: &Context<'a>) -> &'a Scope {
    ctx.data_unchecked()
}

/// Runs an operation and, whenever it can go no further, all loads that it waits for.
///
/// The loads run only when everything that could ask has asked, so what belongs together is always one batch, however
/// busy the machine is: the number of statements depends on the operation alone.
pub async fn drive<T>(operation: impl Future<Output = T>, mut waiting: Waiting) -> T {
    let mut operation = std::pin::pin!(operation);
    let mut running = FuturesUnordered::new();
    std::future::poll_fn(move |task| {
        loop {
            if let std::task::Poll::Ready(answer) = operation.as_mut().poll(task) {
                return std::task::Poll::Ready(answer);
            }
            while let Ok(load) = waiting.try_recv() {
                running.push(load);
            }
            // Each load that ends may have given the operation something to go on with.
            if !matches!(running.poll_next_unpin(task), std::task::Poll::Ready(Some(()))) {
                return std::task::Poll::Pending;
            }
        }
    })
    .await
}
