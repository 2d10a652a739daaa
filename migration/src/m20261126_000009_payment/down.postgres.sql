DROP TABLE received_webhook;
DROP TABLE payment_transaction;
DROP TABLE refund_line;
DROP TABLE refund;
DROP TABLE payment;
DROP FUNCTION apply_payment_transaction, forbid_payment_transaction_change, sync_order_line_refunded;
