DROP TABLE webhook_attempt;
DROP TABLE webhook_delivery;
DROP TABLE webhook_event;
DROP TABLE webhook_subscription;
DROP TABLE webhook_endpoint;
