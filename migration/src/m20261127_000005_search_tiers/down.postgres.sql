DROP VIEW product_search_difference;
DROP TABLE product_search_name;
DROP TRIGGER product_search_name_update ON product_search;
DROP FUNCTION product_search_name_update;
DROP TRIGGER product_search_name_insert ON product_search;
DROP FUNCTION product_search_name_insert;
DROP TRIGGER product_search_variant_delete ON variant;
DROP FUNCTION product_search_variant_delete;
DROP TRIGGER product_search_follow ON product;
DROP FUNCTION product_search_follow;
DROP TRIGGER product_search_fill ON product_search;
DROP FUNCTION product_search_fill;
DROP FUNCTION product_facet_values;
UPDATE product_search SET document = ts_delete(document, '#' || category_id);
ALTER TABLE product_search
    DROP COLUMN ranked_at,
    DROP COLUMN status,
    DROP COLUMN deleted_at,
    DROP COLUMN category_id,
    DROP COLUMN current_price,
    DROP COLUMN sale_price,
    DROP COLUMN in_stock,
    DROP COLUMN featured,
    DROP COLUMN facet_values,
    RESET (fillfactor);
DROP TRIGGER product_tag_rank_delete ON product_tag;
DROP TRIGGER product_tag_rank_insert ON product_tag;
DROP FUNCTION product_rank_tagged;
DROP TRIGGER product_rank_update ON product;
DROP FUNCTION product_rank_updated;
DROP TRIGGER product_rank_insert ON product;
DROP FUNCTION product_rank_inserted;
DROP VIEW product_ranking;
DROP INDEX product_name_normalized_idx;
CREATE INDEX product_name_normalized_idx ON product (name_normalized, id)
    WHERE status = 'active' AND deleted_at IS NULL;
ALTER TABLE product DROP COLUMN ranked_at;
DROP TABLE search_boost;
DROP TABLE search_ranking;
