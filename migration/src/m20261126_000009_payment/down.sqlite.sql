DROP TABLE received_webhook;
DROP TABLE payment_transaction;
DROP TABLE refund_line;
DROP TABLE refund;
DROP TABLE payment;
