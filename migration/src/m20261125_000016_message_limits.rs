//! Limits on notifications: the interval per recipient and kind, and the number of SMS to guests per day.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// `message_pace` stores the earliest time of the next message by the hash of recipient and kind, in milliseconds since
/// 1970, because both databases add integers alike. Messages contain no order token: it is loaded when they are sent.
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
