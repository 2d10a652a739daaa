//! Notification preferences of customers.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use sea_orm::Iterable;

use crate::{
    base::Result,
    graphql::{context::request_context, guard::RequireLogin, payload::payload, scalars::NotificationEvent},
    notification::{
        NotificationChannel, NotificationEventType,
        preference::{self, ChannelPreferences},
    },
};

/// Notification preference for one event.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct NotificationPreference {
    /// Notification event.
    event: NotificationEvent,
    /// Whether the event is notified by email, if the account has an email address.
    email: bool,
    /// Whether the event is notified by SMS, if the account has a phone number.
    sms: bool,
}

/// Returns the preferences for all configurable events.
#[must_use]
pub fn list_preferences(preferences: &ChannelPreferences) -> Vec<NotificationPreference> {
    let configurable_events = NotificationEventType::iter().filter(|event| event.is_optional());
    let to_preference = |event: NotificationEventType| NotificationPreference {
        event: event.into(),
        email: preferences.is_enabled(event, NotificationChannel::Email),
        sms: preferences.is_enabled(event, NotificationChannel::Sms),
    };
    configurable_events.map(to_preference).collect()
}

/// Notification preference to set. Omitted channels are unchanged.
#[derive(Debug, InputObject)]
pub struct NotificationPreferenceInput {
    /// Notification event. Those that are sent on request or concern the login cannot be configured.
    event: NotificationEvent,
    /// Whether to notify by email.
    email: Option<bool>,
    /// Whether to notify by SMS.
    sms: Option<bool>,
}

payload!(
    /// Payload of `notificationPreferenceUpdate`.
    NotificationPreferencePayload {
        /// Preferences for all configurable events after the mutation; null if nothing was changed.
        notification_preferences: Vec<NotificationPreference>
    }
);

/// Notification preference mutations.
#[derive(Debug, Default)]
pub struct PreferenceMutation;

#[Object]
impl PreferenceMutation {
    /// Enables or disables one notification event per channel for the caller.
    #[graphql(guard = "RequireLogin")]
    async fn notification_preference_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Preference to set.")] input: NotificationPreferenceInput,
    ) -> Result<Option<NotificationPreferencePayload>> {
        let context = request_context(ctx);
        let account_id = context.caller.require_account_id()?;
        let NotificationPreferenceInput { event, email, sms } = input;
        let channel_settings = [(NotificationChannel::Email, email), (NotificationChannel::Sms, sms)];
        let update = preference::set_preferences(&context.db, account_id, event.into(), channel_settings);
        NotificationPreferencePayload::from_result(update.await.map(|preferences| list_preferences(&preferences)))
    }
}
