//! Customers: addresses, and indexes for the staff search.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Addresses are hard-deleted: orders have their own copies, and unused personal data is not retained.
const UP: &str = "
CREATE TABLE address (
    id {key},
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    first_name TEXT NOT NULL CHECK (length(first_name) <= 100),
    last_name TEXT NOT NULL CHECK (length(last_name) <= 100),
    company TEXT CHECK (length(company) BETWEEN 1 AND 100),
    line1 TEXT NOT NULL CHECK (length(line1) BETWEEN 1 AND 200),
    line2 TEXT CHECK (length(line2) BETWEEN 1 AND 200),
    city TEXT NOT NULL CHECK (length(city) BETWEEN 1 AND 100),
    region TEXT CHECK (length(region) BETWEEN 1 AND 100),
    postal_code TEXT CHECK (length(postal_code) BETWEEN 1 AND 20),
    country_code TEXT NOT NULL CHECK (length(country_code) = 2 AND country_code = upper(country_code)),
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    is_default_shipping BOOLEAN NOT NULL,
    is_default_billing BOOLEAN NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CHECK (first_name <> '' OR last_name <> '' OR company IS NOT NULL)
)
--
CREATE INDEX address_account ON address (account_id, id)
--
CREATE UNIQUE INDEX address_default_shipping ON address (account_id) WHERE is_default_shipping
--
CREATE UNIQUE INDEX address_default_billing ON address (account_id) WHERE is_default_billing
--
ALTER TABLE account ADD COLUMN name_key TEXT {bytewise} NOT NULL DEFAULT '' CHECK (deleted_at IS NULL OR name_key = '')
--
ALTER TABLE account ADD COLUMN last_name_key TEXT {bytewise} NOT NULL DEFAULT '' CHECK (deleted_at IS NULL OR last_name_key = '')
--
CREATE INDEX account_name_key ON account (name_key) WHERE deleted_at IS NULL
--
CREATE INDEX account_last_name_key ON account (last_name_key) WHERE deleted_at IS NULL
--
CREATE INDEX account_phone ON account (phone {bytewise}) WHERE deleted_at IS NULL
";

const DOWN: &str = "
DROP INDEX account_phone
--
DROP INDEX account_last_name_key
--
DROP INDEX account_name_key
--
ALTER TABLE account DROP COLUMN last_name_key
--
ALTER TABLE account DROP COLUMN name_key
--
DROP TABLE address
";
