//! Refresh token families; at most one identity per provider for an account.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// `family` is the digest of the common prefix of all refresh tokens of a session. It identifies the session of a
/// superseded token that is no longer stored.
const UP: &str = "
ALTER TABLE session ADD COLUMN family TEXT
--
CREATE UNIQUE INDEX session_family ON session (family) WHERE family IS NOT NULL
--
CREATE UNIQUE INDEX account_identity_issuer ON account_identity (account_id, issuer)
";

const DOWN: &str = "
DROP INDEX account_identity_issuer
--
DROP INDEX session_family
--
ALTER TABLE session DROP COLUMN family
";
