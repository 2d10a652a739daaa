//! Background processing: outbox events in order per aggregate, event subscriptions, jobs and schedules.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// A trigger assigns the sequence numbers of an aggregate's events, also for versions of the server that do not know
/// them. A writer waits for the lock on the row with the last number until the previous writer has committed or rolled
/// back. So there are no gaps, and on PostgreSQL, where the primary key is assigned under the same lock, keys are in
/// sequence order.
///
/// Events written before this migration are marked as relayed.
const UP: &str = "
CREATE TABLE outbox_head (
    aggregate TEXT {bytewise} PRIMARY KEY,
    sequence BIGINT NOT NULL CHECK (sequence > 0)
)
--
ALTER TABLE outbox ADD COLUMN sequence BIGINT CHECK (sequence > 0)
--
ALTER TABLE outbox ADD COLUMN relayed_at {time}
--
UPDATE outbox SET relayed_at = created_at, sequence = numbered.place
FROM (SELECT id AS key, row_number() OVER (PARTITION BY aggregate ORDER BY id) AS place FROM outbox) AS numbered
WHERE outbox.id = numbered.key
--
INSERT INTO outbox_head (aggregate, sequence) SELECT aggregate, max(sequence) FROM outbox GROUP BY aggregate
--
pg: ALTER TABLE outbox ALTER COLUMN sequence SET NOT NULL
--
CREATE UNIQUE INDEX outbox_sequence ON outbox (aggregate, sequence)
--
CREATE INDEX outbox_waiting ON outbox (id) WHERE relayed_at IS NULL
--
CREATE INDEX outbox_relayed ON outbox (relayed_at) WHERE relayed_at IS NOT NULL
--
pg: CREATE FUNCTION outbox_number() RETURNS trigger LANGUAGE plpgsql AS $$
pg: BEGIN
pg:     INSERT INTO outbox_head AS head (aggregate, sequence) VALUES (NEW.aggregate, 1)
pg:     ON CONFLICT (aggregate) DO UPDATE SET sequence = head.sequence + 1
pg:     RETURNING head.sequence INTO NEW.sequence;
pg:     NEW.id := nextval('outbox_id_seq');
pg:     RETURN NEW;
pg: END $$
--
pg: CREATE TRIGGER outbox_number BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_number()
lite: CREATE TRIGGER outbox_number AFTER INSERT ON outbox BEGIN
lite:     INSERT INTO outbox_head (aggregate, sequence) VALUES (NEW.aggregate, 1)
lite:     ON CONFLICT (aggregate) DO UPDATE SET sequence = sequence + 1;
lite:     UPDATE outbox SET sequence = (SELECT sequence FROM outbox_head WHERE aggregate = NEW.aggregate)
lite:     WHERE id = NEW.id;
lite: END
--
CREATE TABLE reaction (
    name TEXT NOT NULL CHECK (name <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (name, kind)
)
--
CREATE TABLE job (
    id {key},
    queue TEXT NOT NULL CHECK (queue <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''),
    event_id BIGINT REFERENCES outbox (id),
    payload {json},
    key TEXT CHECK (key <> ''),
    lane TEXT CHECK (lane <> ''),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'dead', 'discarded')),
    due_at {time},
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    worker TEXT CHECK (worker <> ''),
    last_error TEXT CHECK (length(last_error) <= 500),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK ((event_id IS NULL) <> (payload IS NULL)),
    CHECK ((event_id IS NULL) = (lane IS NULL)),
    CHECK ((state IN ('waiting', 'running')) = (due_at IS NOT NULL)),
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK (state <> 'running' OR attempts > 0),
    CHECK (state <> 'dead' OR last_error IS NOT NULL)
)
--
CREATE UNIQUE INDEX job_delivery ON job (event_id, kind) WHERE event_id IS NOT NULL
--
CREATE UNIQUE INDEX job_key ON job (kind, key) WHERE key IS NOT NULL AND state IN ('waiting', 'running')
--
CREATE INDEX job_due ON job (queue, due_at) WHERE state IN ('waiting', 'running')
--
CREATE INDEX job_lane ON job (lane, id) WHERE state IN ('waiting', 'running')
--
CREATE INDEX job_state ON job (state, id)
--
CREATE INDEX job_ended ON job (updated_at) WHERE state IN ('done', 'discarded')
--
CREATE TABLE schedule (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    cron TEXT NOT NULL CHECK (cron <> ''),
    next_at {time} NOT NULL,
    last_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK (last_at IS NULL OR next_at > last_at)
)
";

const DOWN: &str = "
DROP TABLE schedule
--
DROP TABLE job
--
DROP TABLE reaction
--
pg: DROP TRIGGER outbox_number ON outbox
lite: DROP TRIGGER outbox_number
--
pg: DROP FUNCTION outbox_number()
--
DROP INDEX outbox_relayed
--
DROP INDEX outbox_waiting
--
DROP INDEX outbox_sequence
--
ALTER TABLE outbox DROP COLUMN relayed_at
--
ALTER TABLE outbox DROP COLUMN sequence
--
DROP TABLE outbox_head
";
