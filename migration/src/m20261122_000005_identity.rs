//! Identity: accounts, credentials, sessions and tokens; and the audit log.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Secrets are stored as digests only: passwords by Argon2id, random tokens by SHA-256 in hexadecimal.
const UP: &str = "
CREATE TABLE account (
    id {key},
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    email_key TEXT {bytewise} UNIQUE,
    email_verified_at {time},
    password TEXT,
    role TEXT NOT NULL CHECK (role IN ('admin', 'staff', 'customer')),
    first_name TEXT NOT NULL CHECK (length(first_name) <= 100),
    last_name TEXT NOT NULL CHECK (length(last_name) <= 100),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16),
    version INTEGER NOT NULL,
    disabled_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    CHECK ((email IS NULL) = (email_key IS NULL)),
    CHECK (deleted_at IS NULL OR (email IS NULL AND password IS NULL AND phone IS NULL AND first_name = '' AND last_name = ''))
)
--
CREATE INDEX account_role ON account (role, created_at, id) WHERE deleted_at IS NULL
--
CREATE INDEX account_newest ON account (created_at, id) WHERE deleted_at IS NULL
--
CREATE TABLE account_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (issuer, subject)
)
--
CREATE INDEX account_identity_account ON account_identity (account_id)
--
CREATE TABLE session (
    id {key},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL,
    expires_at {time} NOT NULL,
    used_at {time} NOT NULL,
    revoked_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX session_account ON session (account_id, id)
--
CREATE INDEX session_revoked ON session (revoked_at) WHERE revoked_at IS NOT NULL
--
CREATE INDEX session_expires ON session (expires_at)
--
CREATE TABLE refresh_token (
    digest TEXT {bytewise} PRIMARY KEY,
    session_id BIGINT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    used_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX refresh_token_session ON refresh_token (session_id)
--
CREATE TABLE one_time_token (
    digest TEXT {bytewise} PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'sign_in')),
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    detail TEXT NOT NULL,
    expires_at {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX one_time_token_account ON one_time_token (account_id)
--
CREATE INDEX one_time_token_expires ON one_time_token (expires_at)
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
--
CREATE TABLE signing_key (
    kid TEXT PRIMARY KEY,
    private_key TEXT NOT NULL,
    public_key TEXT NOT NULL,
    retired_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE UNIQUE INDEX signing_key_current ON signing_key ((retired_at IS NULL)) WHERE retired_at IS NULL
--
CREATE TABLE api_key (
    id {key},
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    hint TEXT NOT NULL,
    digest TEXT {bytewise} NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    made_by BIGINT REFERENCES account (id),
    expires_at {time},
    used_at {time},
    revoked_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE TABLE audit (
    id {key},
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('nobody', 'system', 'account', 'api_key')),
    actor_id BIGINT,
    action TEXT NOT NULL,
    thing_kind TEXT NOT NULL,
    thing_id BIGINT NOT NULL,
    before {json},
    after {json},
    request_id TEXT NOT NULL,
    created_at {time} NOT NULL,
    CHECK ((actor_kind IN ('account', 'api_key')) = (actor_id IS NOT NULL))
)
--
CREATE INDEX audit_newest ON audit (created_at, id)
--
CREATE INDEX audit_thing ON audit (thing_kind, thing_id, id)
--
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, id)
";

const DOWN: &str = "
DROP TABLE audit
--
DROP TABLE api_key
--
DROP TABLE signing_key
--
DROP TABLE sign_in_attempt
--
DROP TABLE one_time_token
--
DROP TABLE refresh_token
--
DROP TABLE session
--
DROP TABLE account_identity
--
DROP TABLE account
";
