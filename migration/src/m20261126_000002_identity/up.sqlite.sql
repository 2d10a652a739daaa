-- Identity: accounts, external identities, sessions, tokens, signing keys, API keys and pending OpenID Connect logins.
-- Secrets are stored as hashes only: passwords by Argon2id, random tokens by SHA-256.

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT CHECK (length(email) BETWEEN 3 AND 254),
    email_normalized TEXT UNIQUE,
    email_verified_at TIMESTAMP,
    password_hash TEXT,
    role TEXT NOT NULL CHECK (role IN ('admin', 'staff', 'customer')),
    first_name TEXT NOT NULL CHECK (length(first_name) <= 100),
    last_name TEXT NOT NULL CHECK (length(last_name) <= 100),
    name_normalized TEXT NOT NULL DEFAULT '' CHECK (deleted_at IS NULL OR name_normalized = ''),
    last_name_normalized TEXT NOT NULL DEFAULT '' CHECK (deleted_at IS NULL OR last_name_normalized = ''),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16),
    phone_verified_at TIMESTAMP CHECK (phone_verified_at IS NULL OR phone IS NOT NULL),
    language TEXT CHECK (language IN ('en', 'sw')),
    -- The id of the customer in another system.
    external_id TEXT UNIQUE CHECK (length(external_id) BETWEEN 1 AND 255),
    version INTEGER NOT NULL,
    disabled_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP,
    CHECK ((email IS NULL) = (email_normalized IS NULL)),
    -- A deleted account retains no personal data.
    CHECK (deleted_at IS NULL
        OR (email IS NULL AND password_hash IS NULL AND phone IS NULL AND external_id IS NULL
            AND first_name = '' AND last_name = ''))
);
CREATE INDEX account_role_created_at_idx ON account (role, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX account_created_at_idx ON account (created_at, id) WHERE deleted_at IS NULL;
-- The staff search, by prefix.
CREATE INDEX account_name_normalized_idx ON account (name_normalized) WHERE deleted_at IS NULL;
CREATE INDEX account_last_name_normalized_idx ON account (last_name_normalized) WHERE deleted_at IS NULL;
CREATE INDEX account_phone_idx ON account (phone) WHERE deleted_at IS NULL;
-- A verified phone number is a login name.
CREATE UNIQUE INDEX account_verified_phone_key ON account (phone) WHERE phone_verified_at IS NOT NULL;

CREATE TABLE account_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX account_identity_account_id_idx ON account_identity (account_id);
-- An account has at most one identity per provider.
CREATE UNIQUE INDEX account_identity_account_id_issuer_key ON account_identity (account_id, issuer);

-- `token_family` is the hash of the common prefix of all refresh tokens of a session. It identifies the session of a
-- superseded token that is no longer stored.
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    auth_method TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    ip_address TEXT NOT NULL,
    token_family TEXT,
    expires_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP NOT NULL,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX session_account_id_idx ON session (account_id, id);
CREATE UNIQUE INDEX session_token_family_key ON session (token_family) WHERE token_family IS NOT NULL;
CREATE INDEX session_revoked_at_idx ON session (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX session_expires_at_idx ON session (expires_at);

CREATE TABLE refresh_token (
    token_hash TEXT PRIMARY KEY,
    session_id BIGINT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    used_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX refresh_token_session_id_idx ON refresh_token (session_id);

CREATE TABLE one_time_token (
    token_hash TEXT PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'login', 'change_email')),
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    metadata TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX one_time_token_account_id_idx ON one_time_token (account_id);
CREATE INDEX one_time_token_expires_at_idx ON one_time_token (expires_at);

-- Requested changes of the email address of an account. `session_id` is the session that has requested the change; it is
-- kept when the others are revoked.
CREATE TABLE email_change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    old_email TEXT CHECK (length(old_email) BETWEEN 3 AND 254),
    new_email TEXT NOT NULL CHECK (length(new_email) BETWEEN 3 AND 254),
    session_id BIGINT REFERENCES session (id) ON DELETE SET NULL,
    confirmed_at TIMESTAMP,
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (new_email <> old_email),
    CHECK (expires_at > created_at),
    CHECK (confirmed_at >= created_at)
);
CREATE INDEX email_change_account_id_idx ON email_change (account_id, id);
-- An account has at most one pending change.
CREATE UNIQUE INDEX email_change_pending_key ON email_change (account_id) WHERE confirmed_at IS NULL;
CREATE INDEX email_change_session_id_idx ON email_change (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX email_change_expires_at_idx ON email_change (expires_at);

-- Requested one-time codes. A request for an unknown recipient has a row without an account, so that it cannot be
-- distinguished. The code is created when its message, found by `event_id`, is sent.
CREATE TABLE login_code (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_hash TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('login', 'verify_phone')),
    channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    account_id BIGINT REFERENCES account (id) ON DELETE CASCADE,
    recipient TEXT CHECK (length(recipient) BETWEEN 3 AND 254),
    code_hash TEXT,
    event_id BIGINT UNIQUE,
    attempts INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 5),
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((account_id IS NULL) = (recipient IS NULL)),
    CHECK (code_hash IS NULL OR account_id IS NOT NULL),
    CHECK (purpose = 'login' OR (channel = 'sms' AND account_id IS NOT NULL)),
    CHECK (expires_at > created_at)
);
CREATE INDEX login_code_account_id_idx ON login_code (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX login_code_expires_at_idx ON login_code (expires_at);

-- Pending logins of the OpenID Connect code flow. Nonce and PKCE verifier of the provider are derived from the state
-- parameter and the browser's cookie, of which only hashes are stored, so that read access to this table does not
-- suffice to continue a login.
CREATE TABLE oidc_login_state (
    state_hash TEXT PRIMARY KEY,
    browser_hash TEXT NOT NULL,
    provider TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX oidc_login_state_expires_at_idx ON oidc_login_state (expires_at);

CREATE TABLE signing_key (
    kid TEXT PRIMARY KEY,
    private_key TEXT NOT NULL,
    public_key TEXT NOT NULL,
    retired_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
-- One current key.
CREATE UNIQUE INDEX signing_key_current_key ON signing_key ((retired_at IS NULL)) WHERE retired_at IS NULL;

CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    last_four TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    created_by BIGINT REFERENCES account (id),
    expires_at TIMESTAMP,
    last_used_at TIMESTAMP,
    revoked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
