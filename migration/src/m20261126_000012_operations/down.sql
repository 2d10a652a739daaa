DROP TABLE trusted_document_use;
DROP TABLE published_operation;
DROP TABLE trusted_document;
DROP TABLE operation_version;
DROP TABLE operation_revision;
