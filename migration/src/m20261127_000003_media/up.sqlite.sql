-- Media: pictures that staff uploaded.

-- A picture. `token` is its public, unguessable name: pictures are at `/media/TOKEN/…`. `pending` has no file yet; `processing` is checked and waits for its renditions. `original` is the key of the
-- uploaded file in the storage, which is never served. `upload_digest` is the SHA-256 digest of the secret in the URL of
-- an upload. `renditions` is a list of `{"name", "width", "height", "format", "size"}`.
CREATE TABLE media (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE CHECK (length(token) = 32),
    filename TEXT NOT NULL CHECK (length(filename) BETWEEN 1 AND 255),
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'ready', 'failed')),
    upload_digest BLOB UNIQUE CHECK (length(upload_digest) = 32),
    upload_expires_at TIMESTAMP,
    original TEXT UNIQUE CHECK (original <> ''),
    format TEXT CHECK (format IN ('jpeg', 'png', 'webp', 'gif')),
    fallback_format TEXT CHECK (fallback_format IN ('jpeg', 'png')),
    byte_size BIGINT CHECK (byte_size > 0),
    sha256 TEXT CHECK (length(sha256) = 64),
    width INTEGER CHECK (width > 0),
    height INTEGER CHECK (height > 0),
    placeholder TEXT CHECK (length(placeholder) BETWEEN 1 AND 2000),
    renditions JSON NOT NULL,
    error TEXT CHECK (length(error) BETWEEN 1 AND 500),
    unused_since TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK ((upload_digest IS NULL) = (upload_expires_at IS NULL)),
    CHECK ((status = 'pending') = (upload_digest IS NOT NULL)),
    CHECK (status <> 'pending' OR original IS NULL),
    CHECK (status NOT IN ('processing', 'ready') OR original IS NOT NULL),
    CHECK (original IS NULL OR (format IS NOT NULL AND fallback_format IS NOT NULL AND byte_size IS NOT NULL
        AND sha256 IS NOT NULL AND width IS NOT NULL AND height IS NOT NULL AND placeholder IS NOT NULL)),
    CHECK ((status = 'failed') = (error IS NOT NULL))
);
CREATE INDEX media_upload_expires_at_idx ON media (upload_expires_at) WHERE upload_expires_at IS NOT NULL;
