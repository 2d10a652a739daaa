-- Grants of API clients (OAuth 2.0): what an API key may do by its access tokens, and the newest refresh token. A revoked
-- grant is deleted. `token_family` is the hash of the common prefix of all refresh tokens of a grant: a token of the
-- family that is not the newest was used before.
CREATE TABLE oauth_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    api_key_id BIGINT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (length(scope) BETWEEN 1 AND 1000),
    token_family TEXT UNIQUE,
    refresh_token_hash TEXT,
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((token_family IS NULL) = (refresh_token_hash IS NULL)),
    CHECK (expires_at > created_at)
);
CREATE INDEX oauth_grant_api_key_id_idx ON oauth_grant (api_key_id, updated_at, id);
CREATE INDEX oauth_grant_expires_at_idx ON oauth_grant (expires_at);
