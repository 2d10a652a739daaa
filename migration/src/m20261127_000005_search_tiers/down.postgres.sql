DROP TRIGGER product_search_name_move ON product;
DROP TRIGGER product_search_name_update ON product_search;
DROP TRIGGER product_search_name_insert ON product_search;
DROP TABLE product_search_name;
DROP FUNCTION product_search_name_move;
DROP FUNCTION product_search_name_write;
