DROP TABLE fulfillment_line;
DROP TABLE fulfillment;
DROP TRIGGER forbid_direct_reserved_update ON inventory_level;
DROP TABLE stock_reservation;
DROP TABLE order_history;
DROP TABLE order_line;
DROP TABLE orders;
DROP FUNCTION sync_order_line_fulfilled, sync_reserved_quantity, forbid_direct_reserved_update;
