DROP TABLE counted_sale;
