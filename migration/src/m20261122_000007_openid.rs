//! Signing in by way of an OpenID provider: what has begun and not come back yet.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::scripts!(UP, DOWN);

/// `state` and `browser` are digests: of the word that travels through the provider, and of the one in the browser's
/// cookie. Nonce and PKCE verifier are made of the two words together, so nobody who reads this can go on with a sign-in.
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
