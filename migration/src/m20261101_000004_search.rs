//! The search index: one row per product, and the vocabulary of all products.

use sea_orm_migration::prelude::*;

use crate::dialect;

dialect::migration_scripts!(UP, DOWN);

/// Both databases index the same normalized words, so that they return the same results: SQLite's ASCII tokenizer
/// splits only at spaces. `search_word` is the vocabulary for typo correction: a mistyped word is compared with words
/// that have the same prefix, the same suffix, or the same first and last letters.
const UP: &str = "
pg:CREATE TABLE product_search (
pg:    product_id BIGINT PRIMARY KEY REFERENCES product (id) ON DELETE CASCADE,
pg:    name TSVECTOR NOT NULL,
pg:    document TSVECTOR NOT NULL
pg:)
--
pg:CREATE INDEX product_search_document ON product_search USING gin (document)
--
lite:CREATE VIRTUAL TABLE product_search USING fts5 (
lite:    name, rest, content = '', contentless_delete = 1, detail = 'column', prefix = '2 3', tokenize = 'ascii'
lite:)
--
lite:CREATE TRIGGER product_search_drop AFTER DELETE ON product BEGIN
lite:    DELETE FROM product_search WHERE rowid = OLD.id;
lite:END
--
CREATE TABLE search_word (
    word TEXT {bytewise} PRIMARY KEY,
    backwards TEXT {bytewise} NOT NULL,
    ends TEXT {bytewise} NOT NULL
)
--
CREATE INDEX search_word_start ON search_word (length(word), word)
--
CREATE INDEX search_word_end ON search_word (length(word), backwards)
--
CREATE INDEX search_word_ends ON search_word (length(word), ends, word)
";

const DOWN: &str = "
DROP TABLE search_word
--
lite:DROP TRIGGER product_search_drop
--
DROP TABLE product_search
";
