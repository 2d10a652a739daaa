DROP TABLE stock_movement;
DROP TABLE inventory_level;
DROP FUNCTION record_stock_movement, check_stock_movement_balance, forbid_stock_movement_change;
DROP TABLE location;
