DROP TABLE counted_sale;
DROP FUNCTION add_counted_units, change_counted_units, remove_counted_units;
