-- Trusted documents: the operations of the published versions of apps.

-- Increased by every publication and retirement, so that all instances reload their index. One row; its lock orders
-- concurrent publications.
CREATE TABLE operation_revision (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT INTO operation_revision (id, revision) VALUES (1, 1);

-- A published version of an app. `content_hash` is that of its operations, so that publishing it again is a no-op.
CREATE TABLE operation_version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL CHECK (length(app) BETWEEN 1 AND 64),
    version TEXT NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    format TEXT NOT NULL CHECK (format IN ('apollo', 'map', 'folder')),
    content_hash TEXT NOT NULL CHECK (length(content_hash) = 64),
    operation_count INTEGER NOT NULL CHECK (operation_count > 0),
    retired_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (app, version)
);

-- A document by the id that apps send. An id stands for one text for ever, whichever version uses it.
CREATE TABLE trusted_document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id TEXT NOT NULL UNIQUE CHECK (length(document_id) BETWEEN 1 AND 128),
    text TEXT NOT NULL CHECK (text <> ''),
    operation_name TEXT CHECK (length(operation_name) BETWEEN 1 AND 200),
    operation_type TEXT NOT NULL CHECK (operation_type IN ('query', 'mutation', 'subscription')),
    complexity BIGINT NOT NULL CHECK (complexity >= 0),
    depth INTEGER NOT NULL CHECK (depth > 0),
    statements INTEGER NOT NULL CHECK (statements >= 0),
    statement_figure TEXT NOT NULL CHECK (statement_figure IN ('measured', 'at_least', 'limit')),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- The documents of a version.
CREATE TABLE published_operation (
    version_id BIGINT NOT NULL REFERENCES operation_version (id) ON DELETE CASCADE,
    trusted_document_id BIGINT NOT NULL REFERENCES trusted_document (id),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (version_id, trusted_document_id)
);
CREATE INDEX published_operation_trusted_document_id_idx ON published_operation (trusted_document_id);

-- How often a document was requested. A table of its own, because it is updated often.
CREATE TABLE trusted_document_use (
    trusted_document_id BIGINT PRIMARY KEY REFERENCES trusted_document (id) ON DELETE CASCADE,
    use_count BIGINT NOT NULL CHECK (use_count > 0),
    last_used_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
