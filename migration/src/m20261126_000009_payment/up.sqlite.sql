-- Payments, refunds and the ledger of payment transactions. Triggers maintain the sums: captured and refunded amounts
-- from the ledger, refunded quantities of order lines from refund lines. Limits are checked with every addition.

CREATE TABLE payment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    provider TEXT NOT NULL CHECK (provider <> ''),
    reference TEXT CHECK (reference <> ''),
    status TEXT NOT NULL CHECK (status IN ('pending', 'authorized', 'captured', 'failed', 'voided')),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    captured BIGINT NOT NULL CHECK (captured BETWEEN 0 AND amount),
    refunded BIGINT NOT NULL CHECK (refunded BETWEEN 0 AND captured),
    action_url TEXT,
    error TEXT,
    capture_requested_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CHECK (captured = 0 OR status = 'captured')
);
CREATE INDEX payment_order_id_idx ON payment (order_id, id);
CREATE UNIQUE INDEX payment_provider_reference_key ON payment (provider, reference);

CREATE TABLE refund (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    payment_id BIGINT NOT NULL REFERENCES payment (id),
    amount BIGINT NOT NULL CHECK (amount >= 0),
    shipping BIGINT NOT NULL DEFAULT 0 CHECK (shipping BETWEEN 0 AND amount),
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    reason TEXT CHECK (length(reason) <= 1000),
    error TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX refund_order_id_idx ON refund (order_id, id);
CREATE INDEX refund_payment_id_idx ON refund (payment_id);
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
