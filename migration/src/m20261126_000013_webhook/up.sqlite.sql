-- Outbound webhooks: endpoints, events for them, deliveries and their attempts.

-- An endpoint. Secrets are encrypted; while `previous_secret` has not expired, requests are signed with both.
-- `failure_count` is the number of consecutive failed attempts since `failing_since`; no request is sent before
-- `resume_at`. `version` counts changes by staff.
CREATE TABLE webhook_endpoint (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    description TEXT NOT NULL CHECK (length(description) <= 200),
    status TEXT NOT NULL CHECK (status IN ('active', 'inactive', 'paused', 'ended')),
    status_reason TEXT CHECK (length(status_reason) BETWEEN 1 AND 500),
    payload_query TEXT CHECK (payload_query <> ''),
    permissions TEXT NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) > 28),
    previous_secret BLOB CHECK (length(previous_secret) > 28),
    previous_secret_expires_at TIMESTAMP,
    account_id BIGINT REFERENCES account (id),
    failure_count INTEGER NOT NULL CHECK (failure_count >= 0),
    failing_since TIMESTAMP,
    resume_at TIMESTAMP,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((previous_secret IS NULL) = (previous_secret_expires_at IS NULL)),
    CHECK ((failure_count = 0) = (failing_since IS NULL)),
    CHECK (status = 'active' OR status = 'inactive' OR status_reason IS NOT NULL)
);
CREATE INDEX webhook_endpoint_status_idx ON webhook_endpoint (status, id);
CREATE INDEX webhook_endpoint_account_id_idx ON webhook_endpoint (account_id);

-- The event types of an endpoint.
CREATE TABLE webhook_subscription (
    endpoint_id BIGINT NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
    event_type TEXT NOT NULL CHECK (event_type <> ''),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (endpoint_id, event_type)
);
CREATE INDEX webhook_subscription_event_type_idx ON webhook_subscription (event_type, endpoint_id);

-- An event as it is sent: the default payload. A test event has no outbox event and no sequence.
CREATE TABLE webhook_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    outbox_event_id BIGINT UNIQUE,
    event_type TEXT NOT NULL CHECK (event_type <> ''),
    aggregate TEXT NOT NULL CHECK (aggregate <> ''),
    sequence BIGINT CHECK (sequence > 0),
    subject_ids JSON NOT NULL,
    body TEXT NOT NULL CHECK (length(body) BETWEEN 2 AND 20000),
    occurred_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    CHECK ((outbox_event_id IS NULL) = (sequence IS NULL))
);
CREATE INDEX webhook_event_created_at_idx ON webhook_event (created_at);

-- The delivery of an event to an endpoint. Pending deliveries of an aggregate are sent in the order of their ids.
-- `is_blocked`: the sender has seen that an earlier one of its aggregate is pending; it is not due before that is finished.
-- `body` is the result of the endpoint's payload query; without one, the event's body is sent. `failures` counts the
-- failed attempts since `requested_at`, the time of the event or of a redelivery; `attempts` all attempts.
CREATE TABLE webhook_delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_id BIGINT NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
    event_id BIGINT NOT NULL REFERENCES webhook_event (id),
    event_type TEXT NOT NULL CHECK (event_type <> ''),
    aggregate TEXT NOT NULL CHECK (aggregate <> ''),
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    next_attempt_at TIMESTAMP,
    is_blocked BOOLEAN NOT NULL DEFAULT false,
    requested_at TIMESTAMP NOT NULL,
    body TEXT CHECK (length(body) BETWEEN 2 AND 20000),
    response_status INTEGER CHECK (response_status BETWEEN 100 AND 999),
    last_error TEXT CHECK (length(last_error) BETWEEN 1 AND 500),
    delivered_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (endpoint_id, event_id),
    CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL)),
    CHECK (status = 'pending' OR NOT is_blocked),
    CHECK ((status = 'delivered') = (delivered_at IS NOT NULL)),
    CHECK (status <> 'failed' OR last_error IS NOT NULL)
);
CREATE INDEX webhook_delivery_due_idx ON webhook_delivery (endpoint_id, next_attempt_at, id)
    WHERE status = 'pending' AND NOT is_blocked;
CREATE INDEX webhook_delivery_order_idx ON webhook_delivery (endpoint_id, aggregate, id) WHERE status = 'pending';
CREATE INDEX webhook_delivery_requested_at_idx ON webhook_delivery (requested_at) WHERE status = 'pending';
CREATE INDEX webhook_delivery_created_at_idx ON webhook_delivery (created_at);
CREATE INDEX webhook_delivery_event_id_idx ON webhook_delivery (event_id);
-- The staff list.
CREATE INDEX webhook_delivery_endpoint_id_idx ON webhook_delivery (endpoint_id, id);

-- An attempt of a delivery: what was answered and how long it took, or why there was no answer.
CREATE TABLE webhook_attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id BIGINT NOT NULL REFERENCES webhook_delivery (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    requested_at TIMESTAMP NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    response_status INTEGER CHECK (response_status BETWEEN 100 AND 999),
    response_body TEXT CHECK (length(response_body) <= 2000),
    error TEXT CHECK (length(error) BETWEEN 1 AND 500),
    CHECK (response_status IS NOT NULL OR error IS NOT NULL),
    CHECK (response_body IS NULL OR response_status IS NOT NULL)
);
CREATE INDEX webhook_attempt_delivery_id_idx ON webhook_attempt (delivery_id, id);
