DROP VIEW product_search_difference;
DROP TRIGGER product_tag_rank_delete;
DROP TRIGGER product_tag_rank_insert;
DROP TRIGGER product_rank_update;
DROP TRIGGER product_rank_insert;
DROP VIEW product_ranking;
DROP INDEX product_name_normalized_idx;
CREATE INDEX product_name_normalized_idx ON product (name_normalized, id)
    WHERE status = 'active' AND deleted_at IS NULL;
DROP INDEX product_first_character_ranked_at_idx;
DROP INDEX product_ranked_at_idx;
ALTER TABLE product DROP COLUMN ranked_at;
DROP TABLE search_boost;
DROP TABLE search_ranking;
