//! Notifications sent to customers, and the preferences that switch them off.

pub mod log;
pub mod preference;

use async_graphql::MergedObject;

/// Notification mutations.
#[derive(Debug, Default, MergedObject)]
pub struct NotificationMutation(log::NotificationLogMutation, preference::PreferenceMutation);
