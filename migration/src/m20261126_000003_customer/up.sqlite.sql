-- Customers: saved addresses. They are hard-deleted: orders have their own copies, and unused personal data is not
-- retained.

CREATE TABLE address (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (first_name <> '' OR last_name <> '' OR company IS NOT NULL)
);
CREATE INDEX address_account_id_idx ON address (account_id, id);
CREATE UNIQUE INDEX address_default_shipping_key ON address (account_id) WHERE is_default_shipping;
CREATE UNIQUE INDEX address_default_billing_key ON address (account_id) WHERE is_default_billing;
