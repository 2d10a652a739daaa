//! Messages to customers, as staff see them.
#![expect(clippy::unused_async, reason = "a resolver is asynchronous, whether it waits for anything or not")]

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use super::{
    connection::{self, PageInfo},
    context::scope,
    customer::Customer,
    guard::Can,
    orders::Order,
    payload::payload,
};
use crate::{
    base::{
        self, GlobalId, Result,
        id::Kind,
        page::{Page, Window},
    },
    identity::Permission,
    infra::Db,
    notification::{self, limit, list, message::Model, send},
};

/// A language that the shop writes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::base::Language")]
pub enum Language {
    /// English.
    #[graphql(name = "EN")]
    English,
    /// Swahili.
    #[graphql(name = "SW")]
    Swahili,
}

/// What the shop writes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::Occasion")]
pub enum NotificationEvent {
    /// An order has come in.
    OrderPlaced,
    /// The shop will carry it out.
    OrderConfirmed,
    /// A parcel of it is on its way.
    OrderShipped,
    /// It has arrived.
    OrderDelivered,
    /// It will not be carried out.
    OrderCancelled,
    /// Money goes back.
    OrderRefunded,
    /// Somebody is to show that an e-mail address is theirs. It comes when it is asked for.
    VerifyEmail,
    /// Somebody is to set a new password. It comes when it is asked for.
    ResetPassword,
}

/// By which way something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::Channel")]
pub enum MessageChannel {
    /// A letter by e-mail.
    Email,
    /// A short message to a telephone.
    Sms,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum MessageState {
    /// It waits to be sent, for the first time or another one.
    Queued,
    /// It has left the shop: the mail server or the SMS service has taken it.
    Sent,
    /// It could not be sent, and is tried no more.
    Failed,
    /// It was not sent: its recipient does not want it, is forgotten, or the shop sends nothing this way.
    Skipped,
}

impl MessageState {
    const fn stored(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn of(stored: &str) -> Self {
        match stored {
            "queued" => Self::Queued,
            "sent" => Self::Sent,
            "failed" => Self::Failed,
            _ => Self::Skipped,
        }
    }
}

/// A message to a customer: one event, told by one way.
#[derive(Debug, Clone)]
pub struct Message(Model);

impl From<Model> for Message {
    fn from(row: Model) -> Self {
        Self(row)
    }
}

fn unread(why: String) -> base::Error {
    base::Error::fault("reading a message", why)
}

/// A message to a customer: one event, told by one way.
#[Object]
impl Message {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Message, self.0.id).encode().into()
    }

    /// What it tells of.
    async fn event(&self) -> Result<NotificationEvent> {
        let occasion: notification::Occasion = self.0.occasion.parse().map_err(unread)?;
        Ok(occasion.into())
    }

    /// By which way.
    async fn channel(&self) -> Result<MessageChannel> {
        let channel: notification::Channel = self.0.channel.parse().map_err(unread)?;
        Ok(channel.into())
    }

    /// The e-mail address or telephone number it goes to; null once its owner has been forgotten.
    async fn recipient(&self) -> Option<&str> {
        self.0.recipient.as_deref()
    }

    /// Whose it is; null for a guest's, and for whoever may not see customers. One statement for any number of messages.
    async fn customer(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.0.account_id {
            Some(account) => Customer::find(scope(ctx), account).await,
            None => Ok(None),
        }
    }

    /// The id of the order it is about; null when it is about none.
    async fn order_id(&self) -> Option<ID> {
        self.0.order_id.map(|key| GlobalId::new(Kind::Order, key).encode().into())
    }

    /// The order it is about; null when it is about none, and for whoever may not see orders. One statement for any
    /// number of messages.
    async fn order(&self, ctx: &Context<'_>) -> Result<Option<Order>> {
        match self.0.order_id {
            Some(key) => Order::find(scope(ctx), key).await,
            None => Ok(None),
        }
    }

    /// The language it is written in.
    async fn language(&self, ctx: &Context<'_>) -> Language {
        let own = self.0.language.as_deref().and_then(base::Language::named);
        own.unwrap_or(scope(ctx).shared.config.shop.language).into()
    }

    /// What it is about, in one line; null for a short message, and once its recipient has been forgotten.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        send::subject_of(&scope(ctx).shared.config, &self.0)
    }

    /// What became of it.
    async fn state(&self) -> MessageState {
        MessageState::of(&self.0.state)
    }

    /// Why it was not sent, the last time that it was tried; null when nothing went wrong.
    async fn why(&self) -> Option<&str> {
        self.0.why.as_deref()
    }

    /// How often it was tried, since it was last asked for.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// What the outside world knows it by: a letter's `Message-ID`, or the SMS service's id; null until it was sent.
    async fn provider_id(&self) -> Option<&str> {
        self.0.provider_id.as_deref()
    }

    /// When it is sent at the earliest: an e-mail is postponed when another of its kind has just gone to the address. Null
    /// until that is decided.
    async fn due_at(&self) -> Option<DateTime<Utc>> {
        self.0.due_at
    }

    /// When it was sent, the last time; null until then.
    async fn sent_at(&self) -> Option<DateTime<Utc>> {
        self.0.sent_at
    }

    /// When it was written down.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When anything about it last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Which messages are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct MessageFilter {
    /// What became of it.
    state: Option<MessageState>,
    /// By which way.
    channel: Option<MessageChannel>,
    /// What it tells of.
    event: Option<NotificationEvent>,
    /// About this order.
    order_id: Option<ID>,
    /// To this customer.
    customer_id: Option<ID>,
    /// To exactly this e-mail address, in any case, or this telephone number in E.164: `+254712345678`.
    recipient: Option<String>,
}

impl MessageFilter {
    fn read(self) -> Result<list::Wanted> {
        let Self { state, channel, event, order_id, customer_id, recipient } = self;
        let order = order_id.map(|id| GlobalId::key(&id, Kind::Order, "filter.orderId")).transpose()?;
        let account = customer_id.map(|id| GlobalId::key(&id, Kind::Customer, "filter.customerId")).transpose()?;
        let wanted = list::Wanted {
            state: state.map(MessageState::stored),
            channel: channel.map(Into::into),
            occasion: event.map(Into::into),
            order,
            account,
            recipient,
        };
        wanted.check()
    }
}

/// A message and its place in a list.
#[derive(Debug, SimpleObject)]
pub struct MessageEdge {
    /// Where it stands in the list; the next page comes `after` it.
    cursor: String,
    /// The message.
    node: Message,
}

/// A page of messages, and what can be said about the whole list.
#[derive(Debug)]
pub struct MessageConnection {
    wanted: list::Wanted,
    window: Window,
    /// Read when the first field asks for it, and then once.
    page: OnceCell<Page<Model>>,
}

impl MessageConnection {
    async fn page(&self, db: &Db) -> Result<&Page<Model>> {
        self.page.get_or_try_init(|| list::page(db, &self.wanted, &self.window)).await
    }
}

/// A page of messages, and what can be said about the whole list.
#[Object]
impl MessageConnection {
    /// The messages of the page. One statement for the page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Message>> {
        let page = self.page(&scope(ctx).db).await?;
        Ok(page.rows.iter().cloned().map(Message).collect())
    }

    /// The messages of the page, each with its cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<MessageEdge>> {
        let page = self.page(&scope(ctx).db).await?;
        let edge = |row: &Model| MessageEdge { cursor: list::cursor(row), node: Message(row.clone()) };
        Ok(page.rows.iter().map(edge).collect())
    }

    /// Where the page lies in the list.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo> {
        Ok(PageInfo::of(self.page(&scope(ctx).db).await?, list::cursor))
    }

    /// How many the filter wants on all pages together. One statement, in proportion to their number.
    #[graphql(complexity = "connection::per_list(connection::COUNT)")]
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
        list::count(&scope(ctx).db, &self.wanted).await
    }
}

payload!(
    /// What came of sending a message again.
    MessagePayload {
        /// The message as it is now; null when it is not sent again.
        message: Message
    }
);

/// Short messages to guests, and to customers without a verified e-mail address, today (UTC).
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct GuestSmsUsage {
    /// How many were sent.
    sent_today: i64,
    /// How many are sent in a day at most: the setting `sms.guest_daily_limit`.
    daily_limit: u32,
}

/// The messages' part of the query root.
#[derive(Debug, Default)]
pub struct MessageQuery;

#[Object]
impl MessageQuery {
    /// How much of the daily limit of short messages to guests is used. Staff only. One statement.
    #[graphql(guard = "Can(Permission::MessageWrite)")]
    async fn guest_sms_usage(&self, ctx: &Context<'_>) -> Result<GuestSmsUsage> {
        let scope = scope(ctx);
        let sent_today = limit::guest_sms_today(&scope.db).await?;
        Ok(GuestSmsUsage { sent_today, daily_limit: scope.shared.config.sms.guest_daily_limit })
    }

    /// Messages to customers, the newest first, page by page, for staff. One statement.
    #[graphql(guard = "Can(Permission::MessageWrite)", complexity = "connection::cost(first, last, child_complexity)")]
    async fn messages(
        &self,
        #[graphql(desc = "The first so many, from 0 to 100; 20 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor. Goes with `first`.")] after: Option<String>,
        #[graphql(desc = "The last so many, from 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor. Goes with `last`.")] before: Option<String>,
        #[graphql(desc = "Which ones; all when not said.", default)] filter: MessageFilter,
    ) -> Result<MessageConnection> {
        let window = Window::new(first, after, last, before)?;
        Ok(MessageConnection { wanted: filter.read()?, window, page: OnceCell::new() })
    }
}

/// The messages' part of the mutation root.
#[derive(Debug, Default)]
pub struct MessageMutation;

#[Object]
impl MessageMutation {
    /// Send a message again: one that failed, was skipped, or did not arrive. It says what it said; a token is made anew.
    #[graphql(guard = "Can(Permission::MessageWrite)")]
    async fn message_resend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message's id.")] id: ID,
    ) -> Result<MessagePayload> {
        let scope = scope(ctx);
        let sent = async {
            let key = GlobalId::key(&id, Kind::Message, "id")?;
            scope.db.write(async |tx| notification::resend(tx, key).await).await
        };
        MessagePayload::settle(sent.await)
    }
}
