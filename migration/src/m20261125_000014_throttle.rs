//! Throttling: counters of unauthenticated actions, by action and subject.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Subjects (IP addresses, email addresses, phone numbers) are stored as digests. On PostgreSQL the table is unlogged:
/// counters need no flush of the write-ahead log, and a crash or failover only resets them.
const UP: &str = "
DROP TABLE sign_in_attempt
--
pg:CREATE UNLOGGED TABLE throttle (
lite:CREATE TABLE throttle (
    action TEXT NOT NULL,
    subject TEXT {bytewise} NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 0),
    until {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (action, subject)
)
--
CREATE INDEX throttle_until ON throttle (until)
";

const DOWN: &str = "
DROP TABLE throttle
--
CREATE TABLE sign_in_attempt (
    subject TEXT {bytewise} PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures > 0),
    until {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX sign_in_attempt_until ON sign_in_attempt (until)
";
