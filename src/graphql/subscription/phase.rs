//! Phase of a subscription: its start, or the delivery of an event.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::Context;
use futures_util::stream::{self, Iter};

use super::{
    cursor::{decode_cursor, encode_cursor},
    topic::{Topic, parse_event},
};
use crate::{
    base::Result,
    infra::{event_feed::FeedEvent, outbox::Event},
};

/// What a subscription that has started follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedSubscription {
    /// The topics; at least one.
    pub topics: Vec<Topic>,
    /// Position after which events are delivered; `None` for new events only.
    pub after: Option<i64>,
}

/// Phase in which the resolver of a root field is called.
#[derive(Debug, Clone)]
pub enum EventPhase {
    /// The subscription starts: the resolver checks access and stores what the subscription follows.
    Start(Arc<Mutex<Option<StartedSubscription>>>),
    /// An event is delivered: the resolver returns it.
    Deliver(Arc<FeedEvent>),
}

/// Stream of a root field: one event, or none.
pub(super) type EventStream<T> = Iter<std::option::IntoIter<T>>;

impl EventPhase {
    /// Returns the phase of an execution.
    pub(super) fn of<'a>(ctx: &Context<'a>) -> &'a Self {
        ctx.data_unchecked()
    }

    /// Returns the event to deliver, if its payload is of this type.
    pub(super) fn parse_event<E: Event>(&self) -> Option<E> {
        match self {
            Self::Start(_) => None,
            Self::Deliver(event) => parse_event(event),
        }
    }

    /// Stores what the subscription follows when it starts; otherwise returns the event, if there is one to deliver.
    ///
    /// # Errors
    /// Returns `BadUserInput` if `after` is not a cursor of an event.
    pub(super) fn stream<T>(
        &self,
        topics: Vec<Topic>,
        after: Option<&str>,
        build: impl FnOnce(String) -> Option<T>,
    ) -> Result<EventStream<T>> {
        let delivered = match self {
            Self::Start(started) => {
                let after = after.map(|cursor| decode_cursor(cursor, "after")).transpose()?;
                *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(StartedSubscription { topics, after });
                None
            }
            Self::Deliver(event) => build(encode_cursor(event.position)),
        };
        Ok(stream::iter(delivered))
    }
}
