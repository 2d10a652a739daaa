DROP TABLE fulfillment_line;
DROP TABLE fulfillment;
DROP TRIGGER forbid_direct_reserved_update;
DROP TABLE stock_reservation;
DROP TABLE order_history;
DROP TABLE order_line;
DROP TABLE orders;
