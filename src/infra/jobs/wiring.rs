//! What is done after a change, as a value: which reactions hear of which events, who does which jobs, what runs when.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use cron::Schedule as Cron;
use futures_util::future::BoxFuture;

use super::{Job, Outcome, claim::Claimed};
use crate::{
    base::Result,
    infra::{
        Env, Tx,
        outbox::{Event, Told},
    },
};

/// The queue of what schedules start.
pub(super) const SCHEDULED: &str = "schedule";

/// Hears of an event: `async fn(&Tx, &Told<E>) -> Result<()>`. What it does in the transaction and that it was done are
/// one, so it is done exactly once. It must not talk to anybody else: what does is a job that it enqueues.
pub trait Reaction<'a, E>: Send + Sync + 'static {
    /// Does it.
    fn call(&self, tx: &'a Tx, told: &'a Told<E>) -> BoxFuture<'a, Result<()>>;
}

impl<'a, E: 'a, F, Done> Reaction<'a, E> for F
where
    F: Fn(&'a Tx, &'a Told<E>) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<()>> + Send + 'a,
{
    fn call(&self, tx: &'a Tx, told: &'a Told<E>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self(tx, told))
    }
}

/// Does a job: `async fn(&Env, J) -> Outcome`, outside of any transaction. It is called at least once, so what it does
/// to the world must be the same when it is done twice.
pub trait Doer<'a, J>: Send + Sync + 'static {
    /// Does it.
    fn call(&self, env: &'a Env, job: J) -> BoxFuture<'a, Outcome>;
}

impl<'a, J, F, Done> Doer<'a, J> for F
where
    F: Fn(&'a Env, J) -> Done + Send + Sync + 'static,
    Done: Future<Output = Outcome> + Send + 'a,
{
    fn call(&self, env: &'a Env, job: J) -> BoxFuture<'a, Outcome> {
        Box::pin(self(env, job))
    }
}

/// Does what a schedule says: `async fn(&Env) -> Result<()>`, outside of any transaction, at least once for each run.
pub trait Chore<'a>: Send + Sync + 'static {
    /// Does it.
    fn call(&self, env: &'a Env) -> BoxFuture<'a, Result<()>>;
}

impl<'a, F, Done> Chore<'a> for F
where
    F: Fn(&'a Env) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<()>> + Send + 'a,
{
    fn call(&self, env: &'a Env) -> BoxFuture<'a, Result<()>> {
        Box::pin(self(env))
    }
}

type Reacts = dyn for<'a> Fn(&'a Tx, &'a Claimed) -> BoxFuture<'a, Result<()>> + Send + Sync;
type Does = dyn for<'a> Fn(&'a Env, &'a Claimed) -> BoxFuture<'a, Outcome> + Send + Sync;

/// How a claimed piece of work is done.
#[derive(Clone)]
pub(super) enum Way {
    /// In a transaction, together with its being done.
    Inside(Arc<Reacts>),
    /// Outside of any.
    Outside(Arc<Does>),
}

/// What is known of a kind of work.
pub(super) struct Known {
    pub(super) queue: &'static str,
    pub(super) attempts: Option<u32>,
    pub(super) way: Way,
}

/// What runs when, by its name.
pub(super) struct Timed {
    pub(super) name: &'static str,
    pub(super) line: &'static str,
    pub(super) cron: Result<Cron, String>,
}

/// Everything that is done after a change. `crate::wiring` lists the shop's.
#[derive(Default)]
pub struct Wiring {
    /// Which reaction hears of which events.
    pub(super) reactions: Vec<(&'static str, &'static str)>,
    pub(super) known: BTreeMap<String, Known>,
    pub(super) schedules: Vec<Timed>,
    /// Names that were given twice.
    twice: Vec<String>,
}

impl fmt::Debug for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiring").field("kinds", &self.known.keys()).finish_non_exhaustive()
    }
}

impl Wiring {
    /// A reaction of a name hears of every event of a kind. Under one name it may hear of many kinds; of one thing it
    /// hears everything in its order, one after the other, and never before the one before is done or given up.
    #[must_use]
    pub fn on<E: Event>(mut self, name: &'static str, reaction: impl for<'a> Reaction<'a, E>) -> Self {
        let reaction = Arc::new(reaction);
        let way: Arc<Reacts> = Arc::new(move |tx, claimed| {
            let reaction = Arc::clone(&reaction);
            Box::pin(async move {
                let told: Told<E> = claimed.told()?;
                reaction.call(tx, &told).await
            })
        });
        self.reactions.push((name, E::KIND));
        let known = Known { queue: name, attempts: None, way: Way::Inside(way) };
        self.know(format!("{name}/{}", E::KIND), known)
    }

    /// Jobs of a kind are done so.
    #[must_use]
    pub fn job<J: Job>(self, doer: impl for<'a> Doer<'a, J>) -> Self {
        let doer = Arc::new(doer);
        let way: Arc<Does> = Arc::new(move |env, claimed| {
            let doer = Arc::clone(&doer);
            Box::pin(async move {
                match claimed.job() {
                    Ok(job) => doer.call(env, job).await,
                    Err(why) => Outcome::from(Err(why)),
                }
            })
        });
        let known = Known { queue: J::QUEUE, attempts: J::ATTEMPTS, way: Way::Outside(way) };
        self.know(J::KIND.to_owned(), known)
    }

    /// Something is done by the clock: `line` is seconds, minutes, hours, days of the month, months, days of the week,
    /// in UTC. What was missed while nobody was there is made up for once.
    #[must_use]
    pub fn every(mut self, name: &'static str, line: &'static str, chore: impl for<'a> Chore<'a>) -> Self {
        let chore = Arc::new(chore);
        let way: Arc<Does> = Arc::new(move |env, _| {
            let chore = Arc::clone(&chore);
            Box::pin(async move { Outcome::from(chore.call(env).await) })
        });
        let cron = Cron::from_str(line).map_err(|why| why.to_string());
        self.schedules.push(Timed { name, line, cron });
        self.know(name.to_owned(), Known { queue: SCHEDULED, attempts: None, way: Way::Outside(way) })
    }

    fn know(mut self, kind: String, known: Known) -> Self {
        if self.known.contains_key(&kind) {
            self.twice.push(kind.clone());
        }
        self.known.insert(kind, known);
        self
    }

    /// The queues of everything in it, each with whether reactions wait in it.
    pub(super) fn queues(&self) -> BTreeMap<&'static str, bool> {
        self.known.values().map(|known| (known.queue, matches!(known.way, Way::Inside(_)))).collect()
    }

    /// What is well formed but cannot be.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if let Some(kind) = self.twice.first() {
            return Err(format!("two things would be done as `{kind}`"));
        }
        if let Some((name, _)) = self.reactions.iter().find(|(name, _)| name.contains('/')) {
            return Err(format!("`{name}` cannot be the name of a reaction: a / ends it"));
        }
        for timed in &self.schedules {
            if let Err(why) = &timed.cron {
                return Err(format!("`{}` of {} is no line of cron: {why}", timed.line, timed.name));
            }
        }
        Ok(())
    }
}
