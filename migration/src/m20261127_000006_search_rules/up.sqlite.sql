-- What staff decide about searches, and how often each text is searched for.

-- Incremented by every change of synonyms and pinned products.
CREATE TABLE search_rules_version (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO search_rules_version (id, version) VALUES (1, 1);

-- Version of the words of products: a release with a later one indexes them again.
CREATE TABLE search_index_version (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);
INSERT INTO search_index_version (id, version) VALUES (1, 1);

-- Two-way without a term: each synonym also finds the others. One-way with a term, which also finds the synonyms.
CREATE TABLE search_synonym_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    term TEXT CHECK (length(term) BETWEEN 1 AND 100),
    -- The words of the term, normalized and separated by spaces.
    term_normalized TEXT CHECK (length(term_normalized) BETWEEN 1 AND 1000),
    -- Texts as staff write them.
    synonyms JSONB NOT NULL CHECK (json_type(synonyms) = 'array' AND json_array_length(synonyms) BETWEEN 1 AND 20),
    -- NULL: all languages.
    language TEXT CHECK (language IN ('en', 'sw')),
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((term IS NULL) = (term_normalized IS NULL)),
    CHECK (term IS NOT NULL OR json_array_length(synonyms) >= 2)
);
-- One group per term and language.
CREATE UNIQUE INDEX search_synonym_group_term_key ON search_synonym_group (term_normalized, COALESCE(language, ''))
    WHERE term_normalized IS NOT NULL;

CREATE TABLE search_pin (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    query TEXT NOT NULL CHECK (length(query) BETWEEN 1 AND 200),
    -- The words of the text, normalized and separated by spaces.
    query_normalized TEXT NOT NULL UNIQUE CHECK (length(query_normalized) BETWEEN 1 AND 2000),
    -- Ids of products, the first one on top. Products are deleted softly only; those that are not visible are left out.
    product_ids JSONB NOT NULL
        CHECK (json_type(product_ids) = 'array' AND json_array_length(product_ids) BETWEEN 1 AND 20),
    version INTEGER NOT NULL CHECK (version > 0),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- Nothing of who searched.
CREATE TABLE daily_search_count (
    day DATE NOT NULL,
    -- The words of the text, normalized and separated by spaces.
    query TEXT NOT NULL CHECK (length(query) BETWEEN 1 AND 100),
    search_count BIGINT NOT NULL CHECK (search_count > 0),
    empty_count BIGINT NOT NULL CHECK (empty_count BETWEEN 0 AND search_count),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (day, query)
);
