-- Infrastructure: shop settings, audit log, idempotency, throttling, outbox, event subscriptions, jobs, schedules.

-- Settings that must never change after the first start: one row.
CREATE TABLE shop (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    -- Random: keeps the keys of databases that share a Redis server apart.
    database_id TEXT NOT NULL CHECK (database_id <> ''),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- One row per change of an entity. Never contains secrets.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('anonymous', 'system', 'account', 'api_key')),
    actor_id BIGINT,
    action TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id BIGINT NOT NULL,
    before JSON,
    after JSON,
    request_id TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    CHECK ((actor_kind IN ('account', 'api_key')) = (actor_id IS NOT NULL))
);
-- The staff list: each index has a filter and the sort order, so that the cost of a page does not depend on the number
-- of rows.
CREATE INDEX audit_log_created_at_idx ON audit_log (created_at, id);
CREATE INDEX audit_log_action_created_at_idx ON audit_log (action, created_at, id);
CREATE INDEX audit_log_entity_created_at_idx ON audit_log (entity_type, entity_id, created_at, id);
CREATE INDEX audit_log_actor_created_at_idx ON audit_log (actor_kind, actor_id, created_at, id);

-- Keys of requests that were carried out, with the resource that each one created or changed.
CREATE TABLE idempotency_key (
    scope TEXT NOT NULL CHECK (scope <> ''),
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash TEXT NOT NULL CHECK (request_hash <> ''),
    resource_id BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_key_created_at_idx ON idempotency_key (created_at);

-- Mutations that were sent with the header Idempotency-Key. All values are derived from the key, which is not stored:
-- without it, neither the request nor the response, which is encrypted, can be read. A row without a response is being
-- executed; `claim_token` identifies the execution and `expires_at` ends its lease. With a response, `expires_at` ends
-- its retention.
CREATE TABLE idempotent_request (
    key_hash TEXT PRIMARY KEY CHECK (length(key_hash) = 43),
    caller TEXT NOT NULL CHECK (caller <> ''),
    request_hash TEXT NOT NULL CHECK (length(request_hash) = 43),
    claim_token TEXT NOT NULL CHECK (claim_token <> ''),
    response BLOB CHECK (length(response) BETWEEN 28 AND 262172),
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (expires_at > created_at)
);
CREATE INDEX idempotent_request_expires_at_idx ON idempotent_request (expires_at);
CREATE INDEX idempotent_request_caller_idx ON idempotent_request (caller);

-- Counters of public actions. Subjects (IP addresses, email addresses, phone numbers) are stored as hashes.
CREATE TABLE throttle (
    action TEXT NOT NULL,
    subject_hash TEXT NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 0),
    window_ends_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (action, subject_hash)
);
CREATE INDEX throttle_window_ends_at_idx ON throttle (window_ends_at);

-- Events, stored in the transaction of the change they describe. A trigger assigns `sequence`, which numbers the events
-- of an aggregate without gaps. The relay assigns `position`, which numbers all events in the order in which they became
-- visible: the order of the event feed.
CREATE TABLE outbox_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_type TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    -- NULL only until the trigger, which runs after the insert, has set it.
    sequence BIGINT CHECK (sequence > 0),
    payload JSON NOT NULL,
    -- `traceparent` of the request that caused it, while traces are exported.
    trace_context TEXT,
    dispatched_at TIMESTAMP,
    position BIGINT CHECK (position > 0),
    created_at TIMESTAMP NOT NULL,
    CHECK (dispatched_at IS NULL OR position IS NOT NULL)
);
CREATE UNIQUE INDEX outbox_event_position_key ON outbox_event (position) WHERE position IS NOT NULL;
CREATE UNIQUE INDEX outbox_event_aggregate_sequence_key ON outbox_event (aggregate, sequence);
CREATE INDEX outbox_event_pending_idx ON outbox_event (id) WHERE dispatched_at IS NULL;
CREATE INDEX outbox_event_dispatched_at_idx ON outbox_event (dispatched_at) WHERE dispatched_at IS NOT NULL;

-- The last position that the relay assigned, and the highest position of a deleted event. One row.
CREATE TABLE outbox_position (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    last_position BIGINT NOT NULL CHECK (last_position >= deleted_position),
    deleted_position BIGINT NOT NULL CHECK (deleted_position >= 0)
);
INSERT INTO outbox_position (id, last_position, deleted_position) VALUES (1, 0, 0);

-- The last sequence number of each aggregate.
CREATE TABLE outbox_sequence (
    aggregate TEXT PRIMARY KEY,
    last_sequence BIGINT NOT NULL CHECK (last_sequence > 0)
);

CREATE TRIGGER assign_outbox_sequence AFTER INSERT ON outbox_event BEGIN
    INSERT INTO outbox_sequence (aggregate, last_sequence) VALUES (NEW.aggregate, 1)
    ON CONFLICT (aggregate) DO UPDATE SET last_sequence = last_sequence + 1;
    UPDATE outbox_event SET sequence = (SELECT last_sequence FROM outbox_sequence WHERE aggregate = NEW.aggregate)
    WHERE id = NEW.id;
END;

-- The event types that each consumer handles. Stored, so that a worker of another version creates deliveries for
-- consumers it does not know.
CREATE TABLE event_subscription (
    consumer TEXT NOT NULL CHECK (consumer <> ''),
    event_type TEXT NOT NULL CHECK (event_type <> ''),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (consumer, event_type)
);

-- A job has a payload; a delivery has an event. Jobs of one ordering key, which each delivery has, run one at a time, in
-- order. `run_at` is the time of the next attempt, or of a running job the end of its lease.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL CHECK (queue <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''),
    event_id BIGINT REFERENCES outbox_event (id),
    payload JSON,
    -- `traceparent` of the request that caused it, while traces are exported.
    trace_context TEXT,
    dedup_key TEXT CHECK (dedup_key <> ''),
    ordering_key TEXT CHECK (ordering_key <> ''),
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'dead', 'discarded')),
    run_at TIMESTAMP,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    locked_by TEXT CHECK (locked_by <> ''),
    last_error TEXT CHECK (length(last_error) <= 500),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((event_id IS NULL) <> (payload IS NULL)),
    CHECK (event_id IS NULL OR ordering_key IS NOT NULL),
    CHECK ((status IN ('pending', 'running')) = (run_at IS NOT NULL)),
    CHECK ((status = 'running') = (locked_by IS NOT NULL)),
    CHECK (status <> 'running' OR attempts > 0),
    CHECK (status <> 'dead' OR last_error IS NOT NULL)
);
-- Each consumer gets an event once.
CREATE UNIQUE INDEX job_event_id_kind_key ON job (event_id, kind) WHERE event_id IS NOT NULL;
CREATE UNIQUE INDEX job_kind_dedup_key_key ON job (kind, dedup_key)
    WHERE dedup_key IS NOT NULL AND status IN ('pending', 'running');
CREATE INDEX job_queue_run_at_idx ON job (queue, run_at, id) WHERE status IN ('pending', 'running');
CREATE INDEX job_ordering_key_idx ON job (ordering_key, id) WHERE status IN ('pending', 'running');
CREATE INDEX job_finished_updated_at_idx ON job (updated_at) WHERE status IN ('done', 'discarded');
-- The staff list, by each of its filters.
CREATE INDEX job_status_idx ON job (status, id);
CREATE INDEX job_kind_idx ON job (kind, id);
CREATE INDEX job_queue_idx ON job (queue, id);

CREATE TABLE schedule (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    cron TEXT NOT NULL CHECK (cron <> ''),
    next_run_at TIMESTAMP NOT NULL,
    last_run_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (last_run_at IS NULL OR next_run_at > last_run_at)
);
