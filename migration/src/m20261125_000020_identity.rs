//! Families of refresh tokens; one person of a provider for an account.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::scripts!(UP, DOWN);

/// `family` is the digest of the word that all refresh tokens of a session begin with: by it the session of a token is
/// found though the token itself is not kept any more.
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
