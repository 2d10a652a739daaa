//! Pending logins of the OpenID Connect code flow.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// `state` and `browser` are digests: of the `state` parameter, and of the token in the browser's cookie. Nonce and
/// PKCE verifier are derived from both secrets, so read access to this table does not suffice to continue a login.
const UP: &str = "
CREATE TABLE login_flow (
    state TEXT {bytewise} PRIMARY KEY,
    browser TEXT {bytewise} NOT NULL,
    provider TEXT NOT NULL,
    redirect TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
)
--
CREATE INDEX login_flow_expires ON login_flow (expires_at)
";

const DOWN: &str = "
DROP TABLE login_flow
";
