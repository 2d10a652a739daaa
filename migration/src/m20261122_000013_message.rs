//! Notifications to customers, notification preferences and languages.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// A notification references its event, so that each event is sent once per channel. It contains a snapshot of the
/// order's data and never a token, which is generated when it is sent. Erasure of a customer clears the recipient.
const UP: &str = "
ALTER TABLE account ADD COLUMN language TEXT CHECK (language IN ('en', 'sw'))
--
CREATE TABLE message (
    id {key},
    event_id BIGINT NOT NULL,
    occasion TEXT NOT NULL CHECK (occasion IN ('order_placed', 'order_confirmed', 'order_shipped', 'order_delivered',
        'order_cancelled', 'order_refunded', 'verify_email', 'reset_password')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    recipient TEXT CHECK (length(recipient) BETWEEN 3 AND 254),
    account_id BIGINT REFERENCES account (id) ON DELETE SET NULL,
    order_id BIGINT REFERENCES customer_order (id),
    language TEXT CHECK (language IN ('en', 'sw')),
    words {json},
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'skipped')),
    why TEXT CHECK (length(why) <= 400),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    round INTEGER NOT NULL CHECK (round >= 0),
    provider_id TEXT,
    sent_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    UNIQUE (event_id, channel),
    CHECK (state IN ('sent', 'skipped') OR recipient IS NOT NULL),
    CHECK (state NOT IN ('failed', 'skipped') OR why IS NOT NULL),
    CHECK (state <> 'sent' OR sent_at IS NOT NULL),
    CHECK (channel = 'email' OR occasion NOT IN ('verify_email', 'reset_password')),
    CHECK ((order_id IS NULL) = (occasion IN ('verify_email', 'reset_password'))),
    CHECK (words IS NULL OR recipient IS NOT NULL)
)
--
CREATE INDEX message_state ON message (state, id)
--
CREATE INDEX message_account ON message (account_id, id) WHERE account_id IS NOT NULL
--
CREATE INDEX message_order ON message (order_id, id) WHERE order_id IS NOT NULL
--
CREATE INDEX message_recipient ON message (lower(recipient), id) WHERE recipient IS NOT NULL
--
CREATE TABLE notification_preference (
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    occasion TEXT NOT NULL CHECK (occasion IN ('order_placed', 'order_confirmed', 'order_shipped', 'order_delivered',
        'order_cancelled', 'order_refunded')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    wanted BOOLEAN NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (account_id, occasion, channel)
)
";

const DOWN: &str = "
DROP TABLE notification_preference
--
DROP TABLE message
--
ALTER TABLE account DROP COLUMN language
";
