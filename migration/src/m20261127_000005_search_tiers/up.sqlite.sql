-- Search: SQLite's index of words has the names in a column of their own, and its rows by number, so that nothing is added.
SELECT 1;
