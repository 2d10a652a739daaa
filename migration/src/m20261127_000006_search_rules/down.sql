DROP TABLE daily_search_count;
DROP TABLE search_pin;
DROP TABLE search_synonym_group;
DROP TABLE search_index_version;
DROP TABLE search_rules_version;
