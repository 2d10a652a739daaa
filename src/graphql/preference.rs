//! What customers want to hear of.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{context::scope, guard::SignedIn, message::NotificationEvent, payload::payload};
use crate::{
    base::Result,
    notification::{
        Channel, Occasion,
        preference::{self, Wanted},
    },
};

/// Whether somebody is told of something, and by which way.
#[derive(Debug, Clone, Copy, SimpleObject)]
pub struct NotificationPreference {
    /// What is told.
    event: NotificationEvent,
    /// Whether a letter tells of it, where there is an e-mail address.
    email: bool,
    /// Whether a short message does, where there is a telephone number.
    sms: bool,
}

/// All that can be chosen, as somebody has it.
#[must_use]
pub fn told(wanted: &Wanted) -> Vec<NotificationPreference> {
    let chosen = Occasion::ALL.into_iter().filter(|one| one.is_chosen());
    let preference = |one: Occasion| NotificationPreference {
        event: one.into(),
        email: wanted.of(one, Channel::Email),
        sms: wanted.of(one, Channel::Sms),
    };
    chosen.map(preference).collect()
}

/// What somebody wants to hear of. What is left out stays as it is.
#[derive(Debug, InputObject)]
pub struct NotificationPreferenceInput {
    /// What is told. What brings a token comes only when it is asked for, and cannot be chosen.
    event: NotificationEvent,
    /// Whether by letter.
    email: Option<bool>,
    /// Whether by short message.
    sms: Option<bool>,
}

payload!(
    /// What came of choosing what to hear of.
    NotificationPreferencePayload {
        /// All that can be chosen, as it is now; null when nothing was changed.
        notification_preferences: Vec<NotificationPreference>
    }
);

/// The preferences' part of the mutation root.
#[derive(Debug, Default)]
pub struct PreferenceMutation;

#[Object]
impl PreferenceMutation {
    /// Choose whether one is told of something, and by which way.
    #[graphql(guard = "SignedIn")]
    async fn notification_preference_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What one wants to hear of.")] input: NotificationPreferenceInput,
    ) -> Result<NotificationPreferencePayload> {
        let scope = scope(ctx);
        let account = scope.caller.account()?;
        let NotificationPreferenceInput { event, email, sms } = input;
        let said = [(Channel::Email, email), (Channel::Sms, sms)];
        let set = scope.db.write(async |tx| preference::set(tx, account, event.into(), said).await);
        NotificationPreferencePayload::settle(set.await.map(|wanted| told(&wanted)))
    }
}
