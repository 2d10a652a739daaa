DROP TABLE stock_movement;
DROP TABLE inventory_level;
DROP TABLE location;
