-- Payments, refunds and the ledger of payment transactions. Triggers maintain the sums: captured and refunded amounts
-- from the ledger, refunded quantities of order lines from refund lines. Limits are checked with every addition.

CREATE TABLE payment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    method TEXT NOT NULL CHECK (method <> ''),
    provider TEXT NOT NULL CHECK (provider <> ''),
    reference TEXT CHECK (reference <> ''),
    status TEXT NOT NULL CHECK (status IN
        ('pending', 'action_required', 'authorized', 'captured', 'failed', 'expired', 'voided')),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    captured BIGINT NOT NULL CHECK (captured BETWEEN 0 AND amount),
    refunded BIGINT NOT NULL CHECK (refunded BETWEEN 0 AND captured),
    -- Money beyond what the order owes: it is refunded.
    is_surplus BOOLEAN NOT NULL DEFAULT FALSE,
    phone TEXT CHECK (length(phone) BETWEEN 4 AND 16 AND substr(phone, 1, 1) = '+'),
    action JSON,
    decline_code TEXT CHECK (decline_code IN ('insufficient_funds', 'canceled_by_buyer', 'no_response',
        'authentication_failed', 'invalid_details', 'declined')),
    error TEXT,
    -- When the provider was called first. A later call with an unknown result is preceded by a query.
    authorize_sent_at TIMESTAMP,
    capture_requested_at TIMESTAMP,
    capture_sent_at TIMESTAMP,
    void_sent_at TIMESTAMP,
    -- When the provider was last asked by the reconciliation.
    checked_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (captured = 0 OR status = 'captured'),
    CHECK ((status = 'action_required') = (action IS NOT NULL)),
    CHECK (status = 'failed' OR decline_code IS NULL)
);
CREATE INDEX payment_order_id_idx ON payment (order_id, id);
CREATE UNIQUE INDEX payment_provider_reference_key ON payment (provider, reference);
-- The reconciliation reads payments by status.
CREATE INDEX payment_status_updated_at_idx ON payment (status, updated_at, id);

CREATE TABLE refund (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    payment_id BIGINT NOT NULL REFERENCES payment (id),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    shipping BIGINT NOT NULL DEFAULT 0 CHECK (shipping BETWEEN 0 AND amount),
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    -- The provider's reference, and when the provider was called first, of the current attempt.
    reference TEXT CHECK (reference <> ''),
    sent_at TIMESTAMP,
    reason TEXT CHECK (length(reason) <= 1000),
    error TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX refund_order_id_idx ON refund (order_id, id);
CREATE INDEX refund_payment_id_idx ON refund (payment_id);
CREATE INDEX refund_pending_idx ON refund (updated_at, id) WHERE status = 'pending';
-- Shipping is refunded once.
CREATE UNIQUE INDEX refund_shipping_order_id_key ON refund (order_id) WHERE shipping > 0 AND status <> 'failed';

CREATE TABLE refund_line (
    refund_id BIGINT NOT NULL REFERENCES refund (id),
    order_line_id BIGINT NOT NULL REFERENCES order_line (id),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    quantity_canceled BIGINT NOT NULL CHECK (quantity_canceled BETWEEN 0 AND quantity),
    quantity_returned BIGINT NOT NULL DEFAULT 0 CHECK (quantity_returned BETWEEN 0 AND quantity - quantity_canceled),
    PRIMARY KEY (refund_id, order_line_id)
);

CREATE TRIGGER sync_order_line_refunded AFTER INSERT ON refund_line BEGIN
    UPDATE order_line SET quantity_refunded = quantity_refunded + NEW.quantity,
        quantity_canceled = quantity_canceled + NEW.quantity_canceled,
        quantity_returned = quantity_returned + NEW.quantity_returned WHERE id = NEW.order_line_id;
END;

-- Append-only. A result that a provider reports again has the same reference and is stored once.
CREATE TABLE payment_transaction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id BIGINT NOT NULL REFERENCES payment (id),
    transaction_type TEXT NOT NULL CHECK (transaction_type IN ('authorize', 'capture', 'refund', 'void', 'fail')),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    reference TEXT NOT NULL CHECK (reference <> ''),
    created_at TIMESTAMP NOT NULL,
    UNIQUE (payment_id, transaction_type, reference)
);

CREATE TRIGGER check_payment_capture BEFORE INSERT ON payment_transaction
WHEN NEW.transaction_type = 'capture' AND EXISTS (SELECT 1 FROM payment AS p JOIN orders AS o ON o.id = p.order_id
    WHERE p.id = NEW.payment_id AND NOT p.is_surplus AND o.total < NEW.amount +
        (SELECT SUM(q.captured) FROM payment AS q WHERE q.order_id = o.id AND NOT q.is_surplus)) BEGIN
    SELECT RAISE(ABORT, 'more is captured than the order owes');
END;
CREATE TRIGGER apply_payment_capture AFTER INSERT ON payment_transaction
WHEN NEW.transaction_type = 'capture' BEGIN
    UPDATE payment SET captured = captured + NEW.amount, status = 'captured', updated_at = NEW.created_at
    WHERE id = NEW.payment_id;
END;
CREATE TRIGGER apply_payment_refund AFTER INSERT ON payment_transaction
WHEN NEW.transaction_type = 'refund' BEGIN
    UPDATE payment SET refunded = refunded + NEW.amount, updated_at = NEW.created_at WHERE id = NEW.payment_id;
END;
CREATE TRIGGER forbid_payment_transaction_update BEFORE UPDATE ON payment_transaction BEGIN
    SELECT RAISE(ABORT, 'payment transactions are append-only');
END;
CREATE TRIGGER forbid_payment_transaction_delete BEFORE DELETE ON payment_transaction BEGIN
    SELECT RAISE(ABORT, 'payment transactions are append-only');
END;

-- Webhooks of payment providers, each stored once as received, until it is deleted by its retention.
CREATE TABLE received_webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    provider TEXT NOT NULL CHECK (provider <> ''),
    event_id TEXT NOT NULL CHECK (length(event_id) BETWEEN 1 AND 255),
    event_type TEXT NOT NULL CHECK (length(event_type) <= 255),
    -- The payment or refund that it is about.
    subject JSON NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('received', 'processed', 'ignored')),
    error TEXT,
    received_at TIMESTAMP NOT NULL,
    processed_at TIMESTAMP,
    UNIQUE (provider, event_id),
    CHECK ((processed_at IS NULL) = (status = 'received'))
);
CREATE INDEX received_webhook_received_at_idx ON received_webhook (received_at, id);
