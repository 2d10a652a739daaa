//! Money that people hand over: at the door, at the counter, by a transfer that staff look up. Promised at once, taken
//! when staff say so.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::provider::{Answer, Ask, Provider};

/// Its name.
pub const NAME: &str = "manual";

/// Money that people hand over.
#[derive(Debug, Clone, Copy)]
pub struct Manual;

impl Provider for Manual {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    fn authorise(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        ready(Answer::Authorised { reference: ask.key }).boxed()
    }

    fn capture(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        ready(Answer::Done { reference: ask.key }).boxed()
    }

    fn refund(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        ready(Answer::Done { reference: ask.key }).boxed()
    }

    fn void(&self, ask: Ask) -> BoxFuture<'_, Answer> {
        ready(Answer::Done { reference: ask.key }).boxed()
    }
}
