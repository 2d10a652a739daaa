//! What a resolver may reach for: the shop it serves and the request it answers.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Poll, Wake, Waker, ready},
};

use arc_swap::ArcSwap;
use async_graphql::{
    Context, SelectionField,
    dataloader::{DataLoader, Loader},
};
use futures_util::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use rust_decimal::Decimal;
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tracing::Instrument;

use super::loader::Loads;
use crate::{
    base::{Error, Money, Result},
    catalog::{Forest, Tree, filter::Sight},
    identity::{Caller, Gate, Guests, Hasher, Outside, outside::Denied, session::Device},
    infra::{Actor, Budget, Config, Db, Meter, Origin, Throttle},
    payment::Providers,
};

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    /// The database.
    pub db: Db,
    /// The category tree.
    pub forest: Forest,
    /// Who may come in.
    pub gate: Gate,
    /// Those who know people for the shop, and their tokens.
    pub outside: Outside,
    /// Those who came with a token of others, or with a machine's key.
    pub guests: Guests,
    /// What hashes passwords.
    pub hasher: Hasher,
    /// Counts what anybody may do.
    pub throttle: Throttle,
    /// Those who move money.
    pub providers: Providers,
    /// The settings.
    pub config: Config,
    /// Permits for reads that keep the database busy for long.
    pub expensive_reads: Arc<Semaphore>,
}

impl Shared {
    /// A shop on a database that is ready.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn open(db: Db, config: Config) -> Result<Self> {
        let forest = Forest::load(&db).await?;
        let gate = Gate::open(&db, &config.identity).await?;
        let outside =
            Outside::new(&config.identity).map_err(|why| Error::fault("reading the settings of providers", why))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permits = if config.graphql.expensive_reads == 0 { cores } else { config.graphql.expensive_reads };
        let expensive_reads = Arc::new(Semaphore::new(permits));
        let hasher = Hasher::new(config.identity.password_queue);
        let (guests, throttle, providers) = (Guests::default(), Throttle::default(), Providers::default());
        Ok(Self { db, forest, gate, outside, guests, hasher, throttle, providers, config, expensive_reads })
    }

    /// Who came with a token to a request.
    ///
    /// # Errors
    /// When it does not hold, or nobody can say.
    pub async fn admit(&self, token: &str, request: &str) -> Result<Caller, Denied> {
        let origin = Origin { actor: Actor::Nobody, request: request.to_owned() };
        let (db, _) = self.db.for_request(origin, Budget::UNLIMITED);
        self.guests.admit((&self.gate, &self.outside), &db, token).await
    }

    /// Hears of what others have changed: the tree, sessions that were revoked, keys. By the clock.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn refresh(&self) -> Result<()> {
        self.forest.refresh(&self.db).await?;
        self.gate.refresh(&self.db).await
    }
}

/// Who sent a request, and from where.
#[derive(Debug, Default)]
pub struct Visit {
    /// Who asks.
    pub caller: Caller,
    /// With what.
    pub device: Device,
    /// The request's id.
    pub request: String,
}

/// One request's view of the shop.
pub struct Scope {
    /// What all requests share.
    pub shared: Arc<Shared>,
    /// The database, counted for this request.
    pub db: Db,
    /// Who asks.
    pub caller: Caller,
    /// With what.
    pub device: Device,
    /// Which products the caller may see.
    pub sight: Sight,
    tree: Arc<ArcSwap<Tree>>,
    /// What hangs on many things at once.
    loads: DataLoader<Loads>,
    left: AtomicUsize,
    /// Whether the request has begun a checkout.
    checked_out: AtomicBool,
    fresh: OnceCell<Arc<Tree>>,
    meter: Arc<Meter>,
    /// Whether everything about a customer was exported in this request.
    exported: AtomicBool,
}

/// Loads that were asked for and wait to be run.
#[derive(Debug)]
pub struct Waiting {
    loads: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    meter: Arc<Meter>,
}

impl Scope {
    /// A scope for a request of somebody, its meter, and where its loads wait. [`drive`] runs them.
    #[must_use]
    pub fn open(shared: &Arc<Shared>, visit: Visit) -> (Self, Arc<Meter>, Waiting) {
        let Visit { caller, device, request } = visit;
        let limits = &shared.config.graphql;
        let staff = !caller.permissions().is_empty();
        let statements = if staff { limits.max_statements_staff } else { limits.max_statements };
        let budget = Budget { statements, time: limits.max_database_time };
        let (db, meter) = shared.db.for_request(Origin { actor: caller.actor(), request }, budget);
        let tree = Arc::new(ArcSwap::new(shared.forest.current()));
        let sight = Sight::of(caller);
        let (sender, asked) = mpsc::unbounded_channel();
        let spawn = move |load| {
            // Nobody waits for the loads of a request that has ended.
            let _ = sender.send(load);
        };
        let loads = DataLoader::new(Loads { db: db.clone(), tree: Arc::clone(&tree), sight }, spawn)
            .delay(std::time::Duration::ZERO)
            .max_batch_size(usize::MAX);
        let waiting = Waiting { loads: asked, meter: Arc::clone(&meter) };
        let left = AtomicUsize::new(shared.config.graphql.max_values);
        let scope = Self {
            shared: Arc::clone(shared),
            db,
            caller,
            device,
            sight,
            tree,
            loads,
            left,
            checked_out: AtomicBool::new(false),
            fresh: OnceCell::new(),
            meter: Arc::clone(&meter),
            exported: AtomicBool::new(false),
        };
        (scope, meter, waiting)
    }

    /// The tree as it was when the request came, or when the request last changed it: one request sees one tree.
    #[must_use]
    pub fn tree(&self) -> Arc<Tree> {
        self.tree.load_full()
    }

    /// The tree after a change of this request's, which everybody on this instance sees from now on.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn replant(&self) -> Result<Arc<Tree>> {
        self.shared.forest.refresh(&self.db).await?;
        self.tree.store(self.shared.forest.current());
        Ok(self.tree())
    }

    /// The tree as it is now, for what was made after the request came. Looked at once, whoever asks.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn fresh_tree(&self) -> Result<&Arc<Tree>> {
        let read = || async {
            self.shared.forest.refresh(&self.db).await?;
            Ok(self.shared.forest.current())
        };
        self.fresh.get_or_try_init(read).await
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

    /// Loads many things of a kind at once, together with all others of their kind that the request asks for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn load_many<K>(
        &self,
        keys: impl IntoIterator<Item = K, IntoIter: Send> + Send,
    ) -> BoxFuture<'_, Result<HashMap<K, <Loads as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loads: Loader<K, Error = Error>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        Box::pin(self.loads.load_many(keys))
    }

    /// Runs a read that keeps the database busy for long, of which few run at the same time. It has a task of its own,
    /// which keeps the permit to its end: a client that hangs up does not make room for more of them.
    ///
    /// # Errors
    /// Those of the read.
    pub async fn read_expensive<T, F>(&self, read: impl FnOnce(Db) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        // Rounds of loads wait until the request can go no further; this read is a part of it.
        let busy = self.meter.stay_busy();
        let permits = Arc::clone(&self.shared.expensive_reads);
        let permit = permits.acquire_owned().await.map_err(|why| Error::fault("waiting for an expensive read", why))?;
        let read = read(self.db.clone());
        let task = async move {
            let outcome = read.await;
            drop((busy, permit));
            outcome
        };
        let outcome = tokio::spawn(task.in_current_span()).await;
        outcome.unwrap_or_else(|why| Err(Error::fault("running an expensive read", why)))
    }

    /// Takes note that everything about a customer is exported, which one request may ask for once.
    ///
    /// # Errors
    /// When it was asked for before.
    pub fn export_once(&self) -> Result<()> {
        if self.exported.swap(true, Ordering::Relaxed) {
            return Err(Error::too_complex("`customerExport` is answered once in a request"));
        }
        Ok(())
    }

    /// An amount of the shop's currency, as it travels.
    #[must_use]
    pub fn amount(&self, minor: i64) -> Decimal {
        Money::new(minor, self.shared.config.shop.currency).decimal()
    }

    /// Pays for a list that has no pages, before it is made: its length times what is asked of each.
    ///
    /// # Errors
    /// When the answer would grow past what one request may ask for.
    pub fn spend(&self, ctx: &Context<'_>, length: usize) -> Result<()> {
        if length == 0 {
            return Ok(());
        }
        if self.pay(length.saturating_mul(below(ctx.field()))) {
            return Ok(());
        }
        let most = self.shared.config.graphql.max_values;
        let message = format!("the answer would hold more than {most} values; ask for fewer levels or fields");
        Err(Error::too_complex(message))
    }

    /// Whether this is the first checkout of the request.
    pub fn begin_checkout(&self) -> bool {
        !self.checked_out.swap(true, Ordering::Relaxed)
    }

    /// Pays for so many values, if the request may still ask for them.
    pub fn pay(&self, values: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(values)).is_ok()
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
/// A round of loads begins only when everything that could ask has asked: the operation has nothing left to do, no
/// statement of its own is being answered, and the round before has ended. So what belongs together is always one
/// batch, however busy the machine is: the number of statements depends on the operation alone.
pub async fn drive<T>(operation: impl Future<Output = T>, mut waiting: Waiting) -> T {
    let mut operation = std::pin::pin!(operation);
    let mut round = FuturesUnordered::new();
    std::future::poll_fn(move |task| {
        let bell = Arc::new(Bell { task: task.waker().clone(), rung: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&bell));
        loop {
            bell.rung.store(false, Ordering::Relaxed);
            if let Poll::Ready(answer) = operation.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                return Poll::Ready(answer);
            }
            // It stopped only to let others have their turn, and comes back.
            if bell.rung.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            if round.is_empty() && !waiting.meter.is_busy() {
                while let Ok(load) = waiting.loads.try_recv() {
                    round.push(load);
                }
            }
            if round.is_empty() {
                return Poll::Pending;
            }
            while ready!(round.poll_next_unpin(task)).is_some() {}
        }
    })
    .await
}

/// Wakes the task, and remembers that it did.
struct Bell {
    task: Waker,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}
