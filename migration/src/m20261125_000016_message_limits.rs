//! Limits on messages: how soon one of a kind follows another to one address, and how many short messages guests cause.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::scripts!(UP, DOWN);

/// `message_pace` holds, by the hash of a recipient and a kind, the earliest moment for the next message: milliseconds since
/// 1970, because both databases add those alike. Messages keep no token of an order: it is read when they are sent.
const UP: &str = "
CREATE TABLE message_pace (
    key TEXT PRIMARY KEY CHECK (key <> ''),
    next_at BIGINT NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX message_pace_next ON message_pace (next_at)
--
CREATE TABLE guest_sms_day (
    day TEXT PRIMARY KEY CHECK (length(day) = 10),
    sent BIGINT NOT NULL CHECK (sent > 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
ALTER TABLE message ADD COLUMN due_at {time}
--
CREATE INDEX message_age ON message (updated_at)
--
pg:UPDATE message SET words = words - 'token' WHERE words IS NOT NULL
--
lite:UPDATE message SET words = json_remove(words, '$.token') WHERE words IS NOT NULL
";

const DOWN: &str = "
DROP INDEX message_age
--
ALTER TABLE message DROP COLUMN due_at
--
DROP TABLE guest_sms_day
--
DROP TABLE message_pace
";
