DROP TABLE shipping_method;
DROP TABLE tax_rate;
