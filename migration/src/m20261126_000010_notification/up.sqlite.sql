-- Notifications to customers, their preferences, and sending limits.

-- References its event, so that each event is sent once per channel. `template_data` is a snapshot of the order's data
-- and never contains a token: tokens are loaded or generated when the notification is sent. `send_at` is the time that
-- the sending limits assigned; NULL until they were checked. Erasure of a customer clears the recipient.
CREATE TABLE notification (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id BIGINT NOT NULL,
    event_type TEXT NOT NULL CHECK (event_type IN ('order_placed', 'order_confirmed', 'order_shipped',
        'order_delivered', 'order_canceled', 'order_refunded', 'order_link', 'verify_email', 'reset_password',
        'change_email', 'email_in_use', 'email_changed', 'login_code')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    recipient TEXT CHECK (length(recipient) BETWEEN 3 AND 254),
    account_id BIGINT REFERENCES account (id) ON DELETE SET NULL,
    order_id BIGINT REFERENCES orders (id),
    language TEXT CHECK (language IN ('en', 'sw')),
    template_data JSON,
    status TEXT NOT NULL CHECK (status IN ('queued', 'sent', 'failed', 'skipped')),
    failure_reason TEXT CHECK (length(failure_reason) <= 400),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    resend_count INTEGER NOT NULL CHECK (resend_count >= 0),
    provider_id TEXT,
    send_at TIMESTAMP,
    sent_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (event_id, channel),
    CHECK (status IN ('sent', 'skipped') OR recipient IS NOT NULL),
    CHECK (status NOT IN ('failed', 'skipped') OR failure_reason IS NOT NULL),
    CHECK (status <> 'sent' OR sent_at IS NOT NULL),
    CHECK (channel = 'email' OR event_type NOT IN ('order_link', 'verify_email', 'reset_password', 'change_email',
        'email_in_use', 'email_changed')),
    CHECK ((order_id IS NULL) = (event_type IN ('verify_email', 'reset_password', 'change_email', 'email_in_use',
        'email_changed', 'login_code'))),
    CHECK (template_data IS NULL OR recipient IS NOT NULL)
);
CREATE INDEX notification_status_idx ON notification (status, id);
CREATE INDEX notification_account_id_idx ON notification (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX notification_order_id_idx ON notification (order_id, id) WHERE order_id IS NOT NULL;
CREATE INDEX notification_lower_recipient_idx ON notification (lower(recipient), id) WHERE recipient IS NOT NULL;
CREATE INDEX notification_updated_at_idx ON notification (updated_at);

CREATE TABLE notification_preference (
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    event_type TEXT NOT NULL CHECK (event_type IN ('order_placed', 'order_confirmed', 'order_shipped',
        'order_delivered', 'order_canceled', 'order_refunded')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (account_id, event_type, channel)
);

-- The next free time slot by the hash of recipient and event type, in milliseconds since 1970, because both databases
-- add integers alike.
CREATE TABLE notification_throttle (
    subject_hash TEXT PRIMARY KEY CHECK (subject_hash <> ''),
    next_slot_ms BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX notification_throttle_next_slot_ms_idx ON notification_throttle (next_slot_ms);

-- The number of SMS to guests per day (UTC).
CREATE TABLE guest_sms_daily_count (
    day TEXT PRIMARY KEY CHECK (length(day) = 10),
    sent_count BIGINT NOT NULL CHECK (sent_count > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
